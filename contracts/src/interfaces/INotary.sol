// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Notary
/// @notice Commitments to audit logs, added and never changed: what an institution wrote down until then, it cannot
/// write anew. No owner, no role, no upgrade, no money.
///
/// An institution is the address that calls; nobody anchors for another. A log is a name in 32 bytes, ASCII from the
/// left. A log is a sequence of leaves that only grows, and an anchor is a commitment to its first `size` leaves in
/// their order: each anchor commits to the whole history. Two logs are known by name:
/// - "ledger", the entries of the institution's journal: `root` is the Merkle tree hash of RFC 6962, section 2.1, with
///   SHA-256, and `verify` proves that a leaf is in it;
/// - "signer", the journal of its key-management node, a hash chain: `root` is the chain's head after `size` rows. A
///   chain's head commits to every row before it as a root does, but has no short proofs: `verify` is not for it.
///
/// The contract keeps the order of sizes and times. It cannot see the leaves: that a later root extends an earlier one
/// is for those to check who hold the log (`florin verify-books`), and an anchor that is not extended stays for ever.
interface INotary {
    /// @param root The commitment to the first `size` leaves.
    /// @param time The block's time, in seconds since 1970-01-01 UTC.
    struct Anchor {
        bytes32 root;
        uint64 size;
        uint64 time;
    }

    /// @param index The place of this anchor among those of its institution and log, from 0.
    event Anchored(
        address indexed institution, bytes32 indexed log, uint256 indexed index, uint64 size, bytes32 root
    );

    /// @notice There is no contract at the address that the constructor was given.
    error CurrencyWithoutCode(address currency);
    /// @notice The caller is no participant's institution and holds neither GOVERNOR nor ISSUER.
    error NotAnInstitution(address caller);
    /// @notice No leaf, or no root: that commits to nothing.
    error EmptyAnchor(bytes32 log, uint64 size, bytes32 root);
    /// @notice A log never shrinks.
    error LogShrunk(bytes32 log, uint64 anchoredSize, uint64 size);
    /// @notice The same leaves have one root, and it is anchored: this one is another.
    error AnchorDiffers(bytes32 log, uint64 size, bytes32 anchoredRoot, bytes32 root);
    /// @notice This very anchor is there already.
    error AlreadyAnchored(bytes32 log, uint64 size);
    /// @notice The institution anchored nothing in this log on this day.
    error NothingAnchored(address institution, bytes32 log, uint256 day);
    /// @notice The institution has only `count` anchors in this log.
    error UnknownAnchor(address institution, bytes32 log, uint256 index, uint256 count);

    /// @notice Adds an anchor of the caller's own. The caller is a participant's institution, suspended or frozen or
    /// not (evidence is no money), or holds GOVERNOR or ISSUER of the currency (the central bank).
    ///
    /// `size` is at least that of the anchor before. An equal repeat is refused and not passed over: whoever sends an
    /// anchor that succeeds finds its event, and one without effect never looks as if it had one.
    /// @dev Reverts with NotAnInstitution, EmptyAnchor, LogShrunk, AnchorDiffers, AlreadyAnchored.
    function anchor(bytes32 log, uint64 size, bytes32 root) external;

    /// @notice The token whose institutions may anchor. It decides who may add, and can change nothing that is there.
    function currency() external view returns (address);

    /// @notice How many anchors an institution has in a log.
    function anchorCount(address institution, bytes32 log) external view returns (uint256);

    /// @notice Up to `count` anchors from place `from` on; fewer where there are no more.
    function anchors(address institution, bytes32 log, uint256 from, uint256 count)
        external
        view
        returns (Anchor[] memory);

    /// @notice The last anchor of a UTC day, counted from 1970-01-01, and its place.
    /// @dev Reverts with NothingAnchored.
    function anchorOfDay(address institution, bytes32 log, uint256 day)
        external
        view
        returns (uint256 index, Anchor memory);

    /// @notice Whether the log had this leaf at place `leafIndex` when it was anchored: RFC 9162, section 2.1.3.2.
    /// @param index The anchor's place.
    /// @param leafHash SHA-256 of a zero byte and the leaf: a leaf is never mistaken for an inner node.
    /// @param proof The sibling hashes from the leaf upwards.
    /// @dev Reverts with UnknownAnchor.
    function verify(
        address institution,
        bytes32 log,
        uint256 index,
        uint256 leafIndex,
        bytes32 leafHash,
        bytes32[] calldata proof
    ) external view returns (bool);
}
