"""`florin wallet-node certificates`: what it makes, what it keeps, and when it makes anew."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from typer.testing import CliRunner

from scripts.cli import app
from scripts.country.certificates import CertificatesUnusable, make_certificates

NOW = datetime(2030, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
HOSTS = ("localhost", "127.0.0.1")


def make(
    directory: Path,
    *callers: str,
    now: datetime = NOW,
    hosts: tuple[str, ...] = HOSTS,
    is_renewal: bool = False,
) -> set[str]:
    """The files that were written, relative to the directory."""
    written = make_certificates(directory, callers, hosts, lifetime=WEEK, now=now, is_renewal=is_renewal)
    return {str(file.relative_to(directory)) for file in written}


def certificate(directory: Path, party: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / party / "identity.pem").read_bytes())


def test_each_party_gets_its_own_directory_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    directory = tmp_path / "made"
    assert make(directory, "api", "officers") == {
        "authority/identity.pem",
        *(f"{party}/{name}.pem" for party in PARTIES for name in ("identity", "authority")),
    }
    for path in [directory, *directory.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


PARTIES = ("server", "callers/api", "callers/officers")


def test_certificates_are_short_lived_p_256_and_good_for_one_purpose(tmp_path: Path) -> None:
    make(tmp_path, "api", "officers")
    authority = certificate(tmp_path, "authority")
    for party, name, purpose in [
        ("server", "wallet-node", ExtendedKeyUsageOID.SERVER_AUTH),
        ("callers/api", "api", ExtendedKeyUsageOID.CLIENT_AUTH),
        ("callers/officers", "officers", ExtendedKeyUsageOID.CLIENT_AUTH),
    ]:
        made = certificate(tmp_path, party)
        made.verify_directly_issued_by(authority)
        assert [part.value for part in made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [name]
        usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [purpose]
        assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        key = made.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.curve.name == "secp256r1"
        assert made.not_valid_after_utc == NOW + WEEK
        assert (tmp_path / party / "authority.pem").read_bytes() in (
            tmp_path / "authority" / "identity.pem"
        ).read_bytes()
    keys = {(tmp_path / party / "identity.pem").read_bytes() for party in (*PARTIES, "authority")}
    assert len(keys) == 4


def test_again_it_writes_nothing_until_half_a_life_has_passed(tmp_path: Path) -> None:
    make(tmp_path, "api")
    assert make(tmp_path, "api", now=NOW + timedelta(days=3)) == set()
    renewed = {"server/identity.pem", "callers/api/identity.pem"}
    assert make(tmp_path, "api", now=NOW + timedelta(days=4)) == renewed
    assert make(tmp_path, "api", now=NOW + timedelta(days=4), is_renewal=True) == renewed


def test_a_further_caller_leaves_the_others_alone(tmp_path: Path) -> None:
    make(tmp_path, "api")
    assert make(tmp_path, "monitor") == {"callers/monitor/identity.pem", "callers/monitor/authority.pem"}


def test_other_names_of_the_node_are_a_new_certificate_for_it_alone(tmp_path: Path) -> None:
    make(tmp_path, "api")
    assert make(tmp_path, "api", hosts=("signer.bank.example", "10.0.0.7")) == {"server/identity.pem"}
    names = certificate(tmp_path, "server").extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert [str(name.value) for name in names.value] == ["signer.bank.example", "10.0.0.7"]


def test_an_authority_near_its_end_is_replaced_with_everything_under_it(tmp_path: Path) -> None:
    make(tmp_path, "api")
    later = NOW + timedelta(days=64)
    assert len(make(tmp_path, "api", now=later)) == 5
    authority = certificate(tmp_path, "authority")
    for party in ("server", "callers/api"):
        certificate(tmp_path, party).verify_directly_issued_by(authority)
    assert make(tmp_path, "api", now=later) == set()


@pytest.mark.parametrize("name", ["", "API", "../x", "a/b", "api\n", "a" * 33])
def test_what_cannot_be_a_caller_gets_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(CertificatesUnusable):
        make(tmp_path / "made", "api", name)
    assert not (tmp_path / "made").exists()


def test_a_file_that_is_something_else_is_not_replaced(tmp_path: Path) -> None:
    make(tmp_path, "api")
    file = tmp_path / "callers" / "api" / "identity.pem"
    file.write_text("precious")
    with pytest.raises(CertificatesUnusable, match="is no certificate"):
        make(tmp_path, "api")
    assert file.read_text() == "precious"
    file.write_bytes((tmp_path / "server" / "identity.pem").read_bytes().split(b"-----BEGIN PRIVATE")[0])
    with pytest.raises(CertificatesUnusable):
        make(tmp_path, "api")


def test_the_command_prints_what_it_wrote_and_is_repeatable(tmp_path: Path) -> None:
    command = ["wallet-node", "certificates", "--directory", str(tmp_path), "--caller", "api"]
    made = CliRunner().invoke(app, command)
    assert made.exit_code == 0, made.output
    assert str(tmp_path / "server" / "identity.pem") in made.output.replace("\n", "")
    again = CliRunner().invoke(app, command)
    assert (again.exit_code, again.output) == (0, "")
    assert CliRunner().invoke(app, [*command, "--renew"]).output.count("identity.pem") == 2
    refused = CliRunner().invoke(app, [*command[:-1], "No Caller"])
    assert refused.exit_code == 1
    assert "CertificatesUnusable" in refused.output


def test_help_names_the_command_and_what_it_makes() -> None:
    answer = CliRunner().invoke(app, ["wallet-node", "--help"], env={"COLUMNS": "200"})
    assert answer.exit_code == 0
    assert "certificates" in answer.output
    assert CliRunner().invoke(app, ["wallet-node", "certificates"]).exit_code == 2
