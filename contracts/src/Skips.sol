// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title What a batch skipped, gathered for one event
struct Skips {
    bytes bitmap;
    bytes reasons;
    uint256 count;
}

using {add, trimmedReasons} for Skips global;

function newSkips(uint256 records) pure returns (Skips memory) {
    return Skips({bitmap: new bytes((records + 7) / 8), reasons: new bytes(records), count: 0});
}

/// @param index Of the record; later records have higher ones.
function add(Skips memory skips, uint256 index, uint256 reason) pure {
    skips.bitmap[index / 8] |= bytes1(uint8(1 << (index % 8)));
    skips.reasons[skips.count++] = bytes1(uint8(reason));
}

/// @dev Shortens the reasons in place: nothing may be added afterwards.
function trimmedReasons(Skips memory skips) pure returns (bytes memory reasons) {
    reasons = skips.reasons;
    uint256 length = skips.count;
    assembly ("memory-safe") {
        mstore(reasons, length)
    }
}
