"""LinkedIn: sign-in and consent (`oauth`, `identity`), posts and pictures (`posts`), the Add-to-profile link
(`profile`). There is no API that writes a certification to a member's profile (docs/linkedin.md)."""

PROVIDER = "linkedin"
