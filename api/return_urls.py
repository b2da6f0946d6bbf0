"""Where a learner may be sent after paying: a page of the platform, or its app."""

import re
from urllib.parse import urlsplit

from common.settings import settings
from providers.guard import is_this_machine

# The characters of an address (RFC 3986). Of others browsers make something else: a backslash is a slash to
# them, so the host would be another one than we read.
CHARACTERS = r"^[!#-;=?-\[\]_a-z~]+$"
_HOST = re.compile(
    r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.?"
)
_APP_SCHEME = re.compile(r"(?!ms-|moz-|chrome-|x-apple)[a-z][a-z0-9.+-]{2,}")
# What a browser would open by itself or hand to another program that is no learner's app. https has been
# taken before, where it names a host.
_CLOSED_SCHEMES = (
    "javascript", "data", "file", "ftp", "ftps", "blob", "about", "vbscript", "view-source", "mailto", "tel",
    "sms", "ws", "wss", "ssh", "http", "https", "sftp", "tftp", "gopher", "telnet", "ldap", "ldaps", "smb",
    "nfs", "rtsp", "irc", "news", "nntp", "dict", "imap", "pop", "vnc", "rdp", "magnet", "jar", "filesystem",
    "res", "resource", "chrome", "content", "intent", "search-ms", "android-app", "itms-services", "shell",
    "livescript", "mocha", "feed", "mhtml", "its", "hcp", "wyciwyg", "edge", "afp", "cifs", "applescript",
)  # fmt: skip


def checked(url: str) -> str:
    """The address as it was, if it is https, an app's own scheme, or in the sandbox http on this machine."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("not an address") from None
    if "@" in parts.netloc:
        raise ValueError("an address with a user name is not taken")
    if parts.scheme == "https" and host:
        if port == 0 or not (":" in host or _HOST.fullmatch(host)):
            raise ValueError("not the name of a host")
        return url
    if parts.scheme == "http" and settings().env == "sandbox" and is_this_machine(host):
        return url
    if parts.scheme in _CLOSED_SCHEMES or not _APP_SCHEME.fullmatch(parts.scheme):
        raise ValueError("only https, or the link of an app such as com.example.app://paid")
    if "://" not in url:
        raise ValueError("the link of an app has :// after its scheme")
    return url
