"""Certificates for mTLS between callers and a wallet node, for sandboxes: one authority, short-lived leaves.

Each party gets a directory of its own: `identity.pem` (its certificate and private key in one file, so that a
renewal replaces both at once) and `authority.pem` (whom it trusts). The authority's key is in neither.
ECDSA P-256 (SEC 2 secp256r1), X.509 version 3 (RFC 5280).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from contracts.durable import write_durably
from wallet_node.transport.endpoints import AUTHORITY, IDENTITY

SERVER_NAME = "wallet-node"
_CALLER = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_CLOCKS_DIFFER = timedelta(minutes=5)
_AUTHORITY_LIVES = 10
"""The authority lives this many times as long as what it signs."""


class CertificatesUnusable(Exception):
    """What is in the directory was not made by this command, or a name cannot be a caller's."""

    code = "CertificatesUnusable"


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def to_pem(self) -> bytes:
        """Both in one file's text."""
        return self.certificate.public_bytes(serialization.Encoding.PEM) + self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def make_certificates(
    directory: Path,
    callers: Sequence[str],
    hosts: Sequence[str],
    *,
    lifetime: timedelta,
    now: datetime,
    is_renewal: bool = False,
) -> list[Path]:
    """Makes what is missing, and anew what has less than half its life left or fits no more (everything but
    the authority when `is_renewal`); the files that were written. Raises CertificatesUnusable.
    """
    for name in callers:
        if _CALLER.fullmatch(name) is None:
            raise CertificatesUnusable(f"{name!r} cannot be the name of a caller")
    for place in (directory, directory / "callers"):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    written: list[Path] = []
    authority = _authority(directory / "authority", lifetime, now, written)
    parties = [(directory / "server", SERVER_NAME, hosts)]
    parties += [(directory / "callers" / name, name, ()) for name in callers]
    for place, name, names in parties:
        alternatives = _alternatives(names)
        known = _read(place / IDENTITY)
        if is_renewal or known is None or not _still_serves(known, authority, name, alternatives, now):
            made = _leaf(authority, name, alternatives, lifetime, now)
            _write(place / IDENTITY, made.to_pem(), written)
        trusted = authority.certificate.public_bytes(serialization.Encoding.PEM)
        if not (place / AUTHORITY).exists() or (place / AUTHORITY).read_bytes() != trusted:
            _write(place / AUTHORITY, trusted, written)
    return written


def _authority(place: Path, lifetime: timedelta, now: datetime, written: list[Path]) -> Identity:
    known = _read(place / IDENTITY)
    if known is not None and known.certificate.not_valid_after_utc - now > lifetime:
        return known
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("florin sandbox authority")
    builder = (
        _builder(key, name, now, lifetime * _AUTHORITY_LIVES)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_authority=True), critical=True)
    )
    made = Identity(builder.sign(key, hashes.SHA256()), key)
    _write(place / IDENTITY, made.to_pem(), written)
    return made


def _leaf(
    authority: Identity,
    name: str,
    alternatives: Sequence[x509.GeneralName],
    lifetime: timedelta,
    now: datetime,
) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if alternatives else ExtendedKeyUsageOID.CLIENT_AUTH
    issuer = authority.certificate
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(key, _name(name), now, min(lifetime, issuer.not_valid_after_utc - now))
        .issuer_name(issuer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return Identity(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    key: ec.EllipticCurvePrivateKey, subject: x509.Name, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _still_serves(
    known: Identity,
    authority: Identity,
    name: str,
    alternatives: Sequence[x509.GeneralName],
    now: datetime,
) -> bool:
    certificate = known.certificate
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except (InvalidSignature, ValueError):
        return False
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    if certificate.not_valid_after_utc - now < life / 2 or certificate.subject != _name(name):
        return False
    try:
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return not alternatives
    return list(named) == list(alternatives)


def _read(file: Path) -> Identity | None:
    if not file.exists():
        return None
    pem = file.read_bytes()
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        key = serialization.load_pem_private_key(pem, password=None)
    except ValueError as error:
        raise CertificatesUnusable(f"{file} is no certificate with its key: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise CertificatesUnusable(f"{file} holds a key that is not its certificate's")
    return Identity(certificate, key)


def _write(file: Path, content: bytes, written: list[Path]) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_durably(file, content, mode=0o600)
    written.append(file)


def _alternatives(hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
