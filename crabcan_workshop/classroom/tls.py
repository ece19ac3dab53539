"""Certificates: for a class without one, an authority of its own, whose root the teacher shows."""
import datetime
import ipaddress

from . import settings

FOLDER = settings.STATE / "tls"
CERT, KEY = FOLDER / "class.crt", FOLDER / "class.key"
SHOWN = settings.HOMES / "root.crt"  # for all: it is no secret
DAYS = 90


def authority(names):
    """Makes a root and a certificate for these names and addresses; the root's key is forgotten.

    So it can vouch for nothing else, ever, not even when the machine is broken into."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID
    FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = called("The crabcan class's own authority")
    whole = x509.BasicConstraints(ca=True, path_length=0)
    made = signed(issuer, issuer, root.public_key(), root, [(whole, True), (usage(signs=True), True)])
    alternative = x509.SubjectAlternativeName([general(name) for name in names])
    server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    leaf = signed(called(names[0]), issuer, own.public_key(), root, [
        (x509.BasicConstraints(ca=False, path_length=None), True), (alternative, False), (server, False),
        (usage(signs=False), True)])
    pem = serialization.Encoding.PEM
    settings.HOMES.mkdir(mode=0o711, parents=True, exist_ok=True)
    settings.write(SHOWN, made.public_bytes(pem).decode(), 0o644)
    settings.write(CERT, (leaf.public_bytes(pem) + made.public_bytes(pem)).decode(), 0o644)
    settings.write(KEY, own.private_bytes(pem, serialization.PrivateFormat.PKCS8,
                                          serialization.NoEncryption()).decode())
    return fingerprint(made)


def fits(names):
    """Whether there is a certificate of ours for these names, good for another week."""
    if not CERT.exists():  # nor perhaps the library yet
        return False
    from cryptography import x509
    found = x509.load_pem_x509_certificate(CERT.read_bytes())
    known = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    week = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=7)
    return found.not_valid_after_utc > week and list(known) == [general(name) for name in names]


def called(name):
    from cryptography import x509
    from cryptography.x509.oid import NameOID
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def general(name):
    """As a certificate has it: an address or a name."""
    from cryptography import x509
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def usage(signs):
    from cryptography import x509
    return x509.KeyUsage(digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, content_commitment=False,
                         key_encipherment=False, data_encipherment=False, key_agreement=False,
                         encipher_only=False, decipher_only=False)


def signed(subject, issuer, public, by, extensions):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(issuer, subject, public, x509.random_serial_number(),
                                      now - datetime.timedelta(hours=1), now + datetime.timedelta(days=DAYS))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    for identifier in (x509.SubjectKeyIdentifier.from_public_key(public),
                       x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key())):
        builder = builder.add_extension(identifier, critical=False)  # RFC 5280 wants both, and Python 3.13 looks
    return builder.sign(by, hashes.SHA256())


def shown():
    """The root's fingerprint: what is read aloud, to compare."""
    from cryptography import x509
    return fingerprint(x509.load_pem_x509_certificate(SHOWN.read_bytes()))


def fingerprint(certificate):
    from cryptography.hazmat.primitives import hashes
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()
