# ruff: noqa: E501 - the texts are a table: a line each
"""What the checks of a badge found, in Indonesian: by name and code. In English each check says it itself."""

from collections.abc import Mapping

from providers.europass.concepts import Language

INDONESIAN: Mapping[tuple[str, str], str] = {
    ("shape", "fits"): "Bentuknya sesuai Open Badges 3.0.",
    ("shape", "too_large"): "Terlalu besar: lebih dari yang diperiksa di sini, juga setelah dibuka kemasannya.",
    ("shape", "no_badge"): "Tidak ada lencana di dalamnya. Mungkin gambarnya disimpan ulang atau diperkecil.",
    ("shape", "damaged"): "Berkasnya rusak atau sudah diubah.",
    ("shape", "two_badges"): "Ada lebih dari satu lencana di dalamnya: yang mana yang berlaku?",
    ("shape", "old_version"): "Ini lencana versi lama; di sini hanya versi 3.0 yang diperiksa.",
    ("shape", "entities"): "SVG ini memuat deklarasi entitas, yang tidak boleh ada dalam lencana.",
    ("shape", "duplicate_members"): "Ada bagian yang ditulis dua kali, sehingga dapat dibaca dengan dua cara.",
    ("shape", "no_json"): "Isinya bukan JSON yang benar.",
    ("shape", "no_jws"): "Isinya bukan JWT yang benar.",
    ("shape", "too_deep"): "Susunannya terlalu dalam.",
    ("shape", "wrong_context"): "Konteksnya bukan Open Badges 3.0.",
    ("shape", "wrong_type"): "Jenis salah satu bagiannya tidak sesuai Open Badges 3.0.",
    ("shape", "wrong_issuer"): "Penerbitnya tidak ditulis sebagai alamat.",
    ("shape", "missing"): "Ada bagian wajib yang tidak ada.",
    ("shape", "no_recipient"): "Tidak disebutkan siapa penerimanya.",
    ("shape", "no_text"): "Ada bagian yang bukan teks atau alamat sebagaimana mestinya.",
    ("shape", "no_time"): "Ada waktu tanpa zona waktu, atau yang bukan waktu.",
    ("shape", "off_schema"): "Tidak sesuai dengan skema yang disebut oleh lencana itu sendiri.",
    ("shape", "claims_differ"): "Bagian JWT tidak sama dengan isi lencana.",
    ("signature", "fits"): "Tanda tangannya cocok: tidak ada yang berubah sejak ditandatangani.",
    ("signature", "fits_brought_key"): "Tanda tangannya cocok dengan kunci yang dibawanya: tidak ada yang berubah.",
    ("signature", "bad_signature"): "Tanda tangannya tidak cocok: isinya diubah, atau orang lain yang menandatangani.",
    ("signature", "alg_none"): "Tidak ditandatangani sama sekali (alg: none).",
    ("signature", "alg_symmetric"): "Ditandatangani dengan kunci yang dapat dimiliki siapa saja (HS…).",
    ("signature", "wrong_key"): "Tidak ditandatangani dengan kunci penerbit yang disebutnya.",
    ("signature", "private_key"): "Di kepalanya ada kunci rahasia: siapa pun dapat menandatangani dengannya.",
    ("signature", "no_method"): "Tidak disebutkan kunci mana yang menandatanganinya.",
    ("signature", "no_proof"): "Tidak ditandatangani: tidak ada bukti di dalamnya.",
    ("signature", "wrong_algorithm"): "Kepalanya menyebut cara tanda tangan yang tidak cocok dengan kunci penerbit.",
    ("signature", "unknown_header"): "Kepalanya memuat perluasan yang tidak dikenal di sini.",
    ("signature", "unknown_proof"): "Jenis buktinya tidak dikenal dalam Open Badges 3.0.",
    ("signature", "two_proofs"): "Ada dua bukti di dalamnya: yang mana yang berlaku?",
    ("signature", "not_covered"): "Ada bagian yang tidak tercakup oleh tanda tangannya.",
    ("signature", "unknown_context"): "Konteksnya tidak dikenal, sehingga tanda tangannya tidak dapat diperiksa.",
    ("signature", "no_keys"): "Tanpa kunci penerbit tidak dapat diperiksa.",
    ("key", "published"): "Kuncinya diumumkan oleh penerbitnya sendiri.",
    ("key", "not_theirs"): "Kunci yang menandatangani tidak termasuk kunci penerbit.",
    ("key", "no_keys"): "Kunci penerbit tidak dapat diperoleh: siapa yang menandatangani tidak dapat dipastikan.",
    ("status", "good"): "Penerbit tidak mencabut dan tidak menangguhkannya.",
    ("status", "none"): "Penerbit tidak memberinya status: tidak dapat dicabut.",
    ("status", "revoked"): "Penerbit sudah mencabutnya.",
    ("status", "suspended"): "Penerbit menangguhkannya.",
    ("status", "not_known"): "Apakah masih berlaku tidak dapat diketahui: daftar statusnya tidak dapat diperoleh atau dipercaya.",
    ("dates", "in_time"): "Berlaku hari ini.",
    ("dates", "expired"): "Masa berlakunya sudah lewat.",
    ("dates", "not_yet_valid"): "Masa berlakunya belum mulai.",
}  # fmt: skip
_NOT_DONE_ID = "Tidak diperiksa, karena pemeriksaan sebelumnya tidak lulus."


def found(language: Language, name: str, code: str, detail: str) -> tuple[str, str]:
    """What a check found, and in which language that could be said."""
    if language == "en":
        return detail, "en"
    text = _NOT_DONE_ID if code == "not_done" else INDONESIAN.get((name, code))
    return (text, "id") if text is not None else (detail, "en")
