"""What a file looks like that should be in no image: keys, tokens and accounts, by their well-known shapes."""
import re

HEAD = 1 << 16  # bytes of a file in which secrets are looked for
SECRETS = (  # what it is called, words without which it is none, its shape
           ("private key", (b"PRIVATE KEY",), rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
           ("AWS key", (b"AKIA", b"ASIA"), rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), ("GitHub token", (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"), rb"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
           ("GitLab token", (b"glpat-",), rb"\bglpat-[\w-]{20}\b"), ("Slack token", (b"xox",), rb"\bxox[abprs]-[\w-]{10,}"),
           ("Google key", (b"AIza",), rb"\bAIza[\w-]{35}\b"), ("npm token", (b"_authToken", b"npm_"), rb"_authToken\s*=\s*[\w-]{10,}|\bnpm_[A-Za-z0-9]{36}\b"),
           ("registry account", (b'"auth"',), rb'"auth"\s*:\s*"[A-Za-z0-9+/=]{8,}"'),
           ("password", None, rb"(?i)(?<![a-z])(?:password|passwd|secret|token|api_?key)\s*[=:]\s*['\"]?[^\s'\"]{8,}"))
SHAPES = [(name, words, re.compile(shape)) for name, words, shape in SECRETS]
QUIET = re.compile(r"^(?:usr/(?:share|lib|include)|lib|usr/local/lib)/")  # programs' own: only the sure shapes


def secrets(path, head):
    """What the beginning of a file looks like. Any text may have a password in it; of programs we do not ask."""
    for name, words, shape in SHAPES:
        if words is None and (b"\0" in head or QUIET.match(path)):
            continue
        if words is None or any(word in head for word in words):
            if shape.search(head):
                yield name
