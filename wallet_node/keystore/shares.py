"""The seed on paper: SLIP-39 shares (SLIP-0039 "Shamir's Secret-Sharing for Mnemonic Codes"), and BIP-39.

SLIP-39 cannot tell a wrong passphrase: it gives another seed. So what is written beside the shares names the
seed's fingerprint, and a restore compares it.
"""

from collections.abc import Sequence

from wallet_node.errors import MixedShares, MnemonicUnusable, SharesUnusable, TooFewShares, UnusableSharing

Group = tuple[int, int]
"""(how many shares are needed, how many are made)."""
_MOST = 16  # groups, and shares of a group: four bits each in a share


def split(
    seed: bytes, groups: Sequence[Group], group_threshold: int, passphrase: bytes = b""
) -> list[list[str]]:
    """Shares, by group. `group_threshold` groups give the seed back. Raises UnusableSharing."""
    from shamir_mnemonic import generate_mnemonics

    if not 1 <= len(groups) <= _MOST or not 1 <= group_threshold <= len(groups):
        raise UnusableSharing("there are 1 to 16 groups, and as many or fewer give the seed back")
    for needed, made in groups:
        if not 1 <= needed <= made <= _MOST:
            raise UnusableSharing(f"{needed} of {made} is no group: 1 to 16 shares, as many or fewer needed")
        if needed == 1 and made > 1:
            raise UnusableSharing("one share that is enough is made once: 1 of 1 (SLIP-39)")
    if len(seed) % 2:
        raise UnusableSharing("SLIP-39 shares an even number of bytes")
    _require_printable(passphrase)
    shares: list[list[str]] = generate_mnemonics(group_threshold, groups, seed, passphrase)
    return shares


def combine(mnemonics: Sequence[str], passphrase: bytes = b"") -> bytes:
    """The seed that shares give, of which some may be there twice or more than needed.

    Raises SharesUnusable, MixedShares, TooFewShares or UnusableSharing.
    """
    from shamir_mnemonic import MnemonicError, Share, recover_ems
    from shamir_mnemonic.shamir import ShareGroup

    _require_printable(passphrase)
    groups: dict[int, ShareGroup] = {}
    first: Share | None = None
    for place, mnemonic in enumerate(mnemonics, 1):
        try:
            share = Share.from_mnemonic(mnemonic)
            first = first or share
            if share.common_parameters() != first.common_parameters():
                raise MixedShares(f"share {place} belongs to another backup than the first one")
            groups.setdefault(share.group_index, ShareGroup()).add(share)
        except (MnemonicError, ValueError) as error:
            raise SharesUnusable(f"share {place}: {error}") from None
    if first is None:
        raise TooFewShares("there is no share")
    complete = {index: group for index, group in groups.items() if group.is_complete()}
    if len(complete) < first.group_threshold:
        parts = [
            f"group {index + 1} has {len(group)} of {group.member_threshold()} shares"
            for index, group in sorted(groups.items())
        ]
        raise TooFewShares(f"{first.group_threshold} complete groups are needed; {', '.join(parts)}")
    chosen = dict(sorted(complete.items())[: first.group_threshold])
    try:
        recovered = recover_ems({index: group.get_minimal_group() for index, group in chosen.items()})
    except (MnemonicError, ValueError) as error:
        raise SharesUnusable(f"the shares do not fit together: {error}") from None
    seed: bytes = recovered.decrypt(passphrase)
    return seed


def seed_of_mnemonic(mnemonic: str, passphrase: str = "") -> bytes:
    """The 64-byte seed of a BIP-39 mnemonic in English. Raises MnemonicUnusable."""
    from eth_account.hdaccount.mnemonic import Mnemonic

    words = " ".join(mnemonic.split())
    reader = Mnemonic()
    if not reader.is_mnemonic_valid(words):
        raise MnemonicUnusable(
            "not a BIP-39 mnemonic in English: a word, their number or the checksum is wrong"
        )
    return bytes(reader.to_seed(words, passphrase))


def _require_printable(passphrase: bytes) -> None:
    if not all(32 <= byte <= 126 for byte in passphrase):
        raise UnusableSharing("the passphrase of a backup is printable ASCII (SLIP-39)")
