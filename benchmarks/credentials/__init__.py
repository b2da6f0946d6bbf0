"""How fast completions become signed badges, against the bare signatures of the library that we sign with."""
