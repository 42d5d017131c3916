// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {AccountWord} from "./AccountWord.sol";
import {MerkleLog} from "./MerkleLog.sol";
import {GOVERNOR, ISSUER} from "./Roles.sol";
import {IDigitalCurrency} from "./interfaces/IDigitalCurrency.sol";
import {INotary} from "./interfaces/INotary.sol";
import {IRoles} from "./interfaces/IRoles.sol";

contract Notary is INotary {
    uint24 private constant INSTITUTION = uint24(AccountWord.INSTITUTION >> 232);

    address public immutable currency;

    mapping(address institution => mapping(bytes32 log => Anchor[])) private _anchors;

    constructor(address currency_) {
        if (currency_.code.length == 0) revert CurrencyWithoutCode(currency_);
        currency = currency_;
    }

    function anchor(bytes32 log, uint64 size, bytes32 root) external {
        if (!_isInstitution(msg.sender)) revert NotAnInstitution(msg.sender);
        if (size == 0 || root == 0) revert EmptyAnchor(log, size, root);
        Anchor[] storage kept = _anchors[msg.sender][log];
        uint256 index = kept.length;
        if (index != 0) _requireGrowth(kept[index - 1], log, size, root);

        kept.push(Anchor({root: root, size: size, time: uint64(block.timestamp)}));
        emit Anchored(msg.sender, log, index, size, root);
    }

    // ------------------------------------------------------------------------------------------------ views

    function anchorCount(address institution, bytes32 log) external view returns (uint256) {
        return _anchors[institution][log].length;
    }

    function anchors(address institution, bytes32 log, uint256 from, uint256 count)
        external
        view
        returns (Anchor[] memory found)
    {
        Anchor[] storage kept = _anchors[institution][log];
        uint256 left = kept.length > from ? kept.length - from : 0;
        found = new Anchor[](count < left ? count : left);
        for (uint256 i; i < found.length; ++i) {
            found[i] = kept[from + i];
        }
    }

    function anchorOfDay(address institution, bytes32 log, uint256 day)
        external
        view
        returns (uint256 index, Anchor memory found)
    {
        Anchor[] storage kept = _anchors[institution][log];
        uint256 above = kept.length;
        while (index < above) {
            uint256 middle = (index + above) / 2;
            if (kept[middle].time / 1 days > day) above = middle;
            else index = middle + 1;
        }
        if (index == 0 || kept[index - 1].time / 1 days != day) revert NothingAnchored(institution, log, day);
        found = kept[--index];
    }

    function verify(
        address institution,
        bytes32 log,
        uint256 index,
        uint256 leafIndex,
        bytes32 leafHash,
        bytes32[] calldata proof
    ) external view returns (bool) {
        Anchor[] storage kept = _anchors[institution][log];
        if (index >= kept.length) revert UnknownAnchor(institution, log, index, kept.length);
        Anchor memory found = kept[index];
        return MerkleLog.includes(found.root, found.size, leafIndex, leafHash, proof);
    }

    // ------------------------------------------------------------------------------------------------ requirements

    function _isInstitution(address caller) private view returns (bool) {
        return IDigitalCurrency(currency).account(caller).flags & INSTITUTION != 0
            || IRoles(currency).roleHolder(ISSUER) == caller || IRoles(currency).roleHolder(GOVERNOR) == caller;
    }

    function _requireGrowth(Anchor memory last, bytes32 log, uint64 size, bytes32 root) private pure {
        if (size < last.size) revert LogShrunk(log, last.size, size);
        if (size > last.size) return;
        if (root != last.root) revert AnchorDiffers(log, size, last.root, root);
        revert AlreadyAnchored(log, size);
    }
}
