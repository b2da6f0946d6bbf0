"""What the official JSON schema of Open Badges 3.0 demands of every part, for badges that name it.

A badge whose `credentialSchema` is the official one promises to fit it, and whoever checks the badge has to
look. Written down here as a table, member by member; the tests hold it against the schema itself.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

VC_CONTEXT = "https://www.w3.org/ns/credentials/v2"
OB_CONTEXT = re.compile(r"https://purl\.imsglobal\.org/spec/ob/v3p0/context(-3\.\d+\.\d+)?\.json")
NAMED = "1EdTechJsonSchemaValidator2019"

# Members of each part, parted by blanks: `name*` is required; `:kind` says what it is (text, where nothing is
# said), `:kind[]` a list of them. `is:` how its type is written: one word, or a list that has the word in it.
_PROFILE = """id* name url phone description endorsement:EndorsementCredential[] endorsementJwt:jws[]
    image:Image email address:Address otherIdentifier:IdentifierEntry[] official parentOrg:Profile familyName
    givenName additionalName patronymicName honorificPrefix honorificSuffix familyNamePrefix dateOfBirth"""
_OF_ANY_CREDENTIAL = """id* description awardedDate:time issuer*:issuer validFrom*:time validUntil:time
    proof:Proof[] credentialSchema:TypedWithId[] credentialStatus:TypedWithId refreshService:TypedWithId
    termsOfUse:Terms[]"""
_PARTS = {
    "OpenBadgeCredential": f"""{_OF_ANY_CREDENTIAL} name image:Image credentialSubject*:AchievementSubject
        endorsement:EndorsementCredential[] endorsementJwt:jws[] evidence:Evidence[]""",
    "EndorsementCredential": f"""is:list {_OF_ANY_CREDENTIAL} name* credentialSubject*:EndorsementSubject
        @context*:contexts""",
    "EndorsementSubject": "is:list id* endorsementComment",
    "AchievementSubject": """is:list id activityEndDate:time activityStartDate:time creditsEarned:number
        achievement*:Achievement identifier:IdentityObject[] image:Image licenseNumber narrative
        result:Result[] role source:Profile term""",
    "Achievement": """is:list id* alignment:Alignment[] achievementType:achievement creator:Profile
        creditsAvailable:number criteria*:Criteria description* endorsement:EndorsementCredential[]
        endorsementJwt:jws[] fieldOfStudy humanCode image:Image inLanguage:language name*
        otherIdentifier:IdentifierEntry[] related:Related[] resultDescription:ResultDescription[]
        specialization tag:text[] version""",
    "Alignment": """is:list targetCode targetDescription targetName* targetFramework targetType:target
        targetUrl*""",
    "Criteria": "id narrative",
    "Evidence": "is:list id narrative name description genre audience",
    "Result": """is:list achievedLevel alignment:Alignment[] resultDescription status:status value""",
    "ResultDescription": """is:list id* alignment:Alignment[] allowedValue:text[] name* requiredLevel
        requiredValue resultType*:result rubricCriterionLevel:RubricCriterionLevel[] valueMax valueMin""",
    "RubricCriterionLevel": "is:list id* alignment:Alignment[] description level name* points",
    "Related": "is:list id* inLanguage:language version",
    "Profile": f"is:list {_PROFILE}",
    "Address": """is:list addressCountry addressCountryCode addressRegion addressLocality streetAddress
        postOfficeBoxNumber postalCode geo:GeoCoordinates""",
    "GeoCoordinates": "is:word latitude*:number longitude*:number",
    # Of these three nothing else may be said.
    "IdentityObject": "is:word only hashed*:flag identityHash* identityType*:identifier salt",
    "IdentifierEntry": "is:word only identifier* identifierType*:identifier",
    "Image": "is:word only id* caption",
    "Proof": """type* created:time cryptosuite challenge domain nonce proofPurpose proofValue
        verificationMethod""",
    "Terms": "type* id",
    "TypedWithId": "type* id*",
}
_WORDS = {
    "status": "Completed Enrolled Failed InProgress OnHold Provisional Withdrew",
    "result": """GradePointAverage LetterGrade Percent PerformanceLevel PredictedScore RawScore Result
        RubricCriterion RubricCriterionLevel RubricScore ScaledScore Status ext:""",
    "target": """ceasn:Competency ceterms:Credential CFItem CFRubric CFRubricCriterion CFRubricCriterionLevel
        CTDL ext:""",
    "identifier": """name sourcedId systemId productId userName accountId emailAddress nationalIdentityNumber
        isbn issn lisSourcedId oneRosterSourcedId sisSourcedId ltiContextId ltiDeploymentId ltiToolId
        ltiPlatformId ltiUserId identifier ext:""",
    "achievement": """Achievement ApprenticeshipCertificate Assessment Assignment AssociateDegree Award Badge
        BachelorDegree Certificate CertificateOfCompletion Certification CommunityService Competency Course
        CoCurricular Degree Diploma DoctoralDegree Fieldwork GeneralEducationDevelopment JourneymanCertificate
        LearningProgram License Membership ProfessionalDoctorate QualityAssuranceCredential MasterCertificate
        MasterDegree MicroCredential ResearchDoctorate SecondarySchoolDiploma ext:""",
}
_EXTENSION = re.compile(r"ext:[a-z|A-Z0-9._]+")  # anywhere in the word, as the schema has it
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_LANGUAGE = re.compile(r"[a-z]{2,4}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")
_JWS = re.compile(r"[a-zA-Z0-9_-]+\.[a-zA-Z0-9_-]*\.[a-zA-Z0-9_-]+")


@dataclass(frozen=True)
class _Member:
    is_required: bool
    kind: str
    is_list: bool


@dataclass(frozen=True)
class _Part:
    type_is: str  # `word`, `list`, or empty where it has none of its own
    is_closed: bool
    members: Mapping[str, _Member]


def _read(text: str) -> _Part:
    members, type_is, is_closed = {}, "", False
    for word in text.split():
        name, _, kind = word.partition(":")
        if name == "is":
            type_is = kind
        elif name == "only":
            is_closed = True
        else:
            members[name.rstrip("*")] = _Member(
                name.endswith("*"), kind.removesuffix("[]") or "text", kind.endswith("[]")
            )
    return _Part(type_is, is_closed, members)


_TABLE = {name: _read(text) for name, text in _PARTS.items()}
_KNOWN = {kind: frozenset(text.split()) for kind, text in _WORDS.items()}


def is_named_by(badge: Mapping[str, Any]) -> bool:
    """Whether the badge says that it fits the official schema."""
    named = badge.get("credentialSchema")
    listed = named if isinstance(named, list) else [named]
    return any(isinstance(one, dict) and one.get("type") == NAMED for one in listed)


def fault(badge: Mapping[str, Any]) -> str | None:
    """The first member that does not fit the schema, by its path; None where all of it does."""
    return _in_part("", badge, "OpenBadgeCredential")


def _in_part(where: str, value: Any, name: str) -> str | None:
    if not isinstance(value, dict):
        return where
    part = _TABLE[name]
    if part.type_is and not _has_type(value.get("type"), name, part.type_is):
        return _at(where, "type")
    if part.is_closed and (more := value.keys() - part.members.keys() - {"type"}):
        return _at(where, min(more)[:40])  # a word of whoever wrote it
    for member, rule in part.members.items():
        if member not in value:
            if rule.is_required:
                return _at(where, member)
            continue
        found = _in_member(_at(where, member), value[member], rule)
        if found is not None:
            return found
    return None


def _at(where: str, member: str) -> str:
    return f"{where}.{member}" if where else member


def _has_type(said: Any, name: str, type_is: str) -> bool:
    if type_is == "word":
        return bool(said == name)
    return isinstance(said, list) and name in said and all(isinstance(one, str) for one in said)


def _in_member(where: str, value: Any, rule: _Member) -> str | None:
    if not rule.is_list:
        return _in_value(where, value, rule.kind)
    if not isinstance(value, list):
        return where
    faults = (_in_value(f"{where}[{number}]", one, rule.kind) for number, one in enumerate(value))
    return next((found for found in faults if found is not None), None)


def _in_value(where: str, value: Any, kind: str) -> str | None:
    if kind in _TABLE:
        return _in_part(where, value, kind)
    if kind == "issuer":
        return None if isinstance(value, str) else _in_part(where, value, "Profile")
    if kind in _KNOWN:
        fits = isinstance(value, str) and (
            value in _KNOWN[kind] or ("ext:" in _KNOWN[kind] and _EXTENSION.search(value) is not None)
        )
    else:
        fits = _PLAIN[kind](value)
    return None if fits else where


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _are_contexts(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 1
        and value[0] == VC_CONTEXT
        and isinstance(value[1], str)
        and OB_CONTEXT.fullmatch(value[1]) is not None
        and all(isinstance(one, (str, dict)) for one in value[2:])
    )


_PLAIN: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "flag": lambda value: isinstance(value, bool),
    "contexts": _are_contexts,
    "time": _matches(_TIME),
    "language": _matches(_LANGUAGE),
    "jws": _matches(_JWS),
}
