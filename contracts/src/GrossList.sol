// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Netting of a packed list of payments
/// @notice A payment has 10 bytes: amount 8 | payer 1 | payee 1, the latter places in a table of at most 128
/// participants. Three payments are read as one word. Zero bytes behind the list make the last word whole: they are
/// payments of nothing from place 0 to itself.
library GrossList {
    uint256 internal constant MAX_PLACES = 128;
    uint256 private constant PLACES = 0x0000000000000000ffff0000000000000000ffff0000000000000000ffff0000;
    uint256 private constant ONES = 0x0000000000000000010100000000000000000101000000000000000001010000;
    uint256 private constant HIGHEST_BITS = 0x0000000000000000808000000000000000008080000000000000000080800000;

    /// @param payments Whole records, then at least 32 bytes of zeros.
    /// @param length How many bytes are records.
    /// @param count How many places there are, at most MAX_PLACES.
    /// @return positions By place, positive receives; they sum to zero by construction.
    /// @return isListed False if a payment names a place outside; the positions are then worth nothing.
    function net(bytes memory payments, uint256 length, uint256 count)
        internal
        pure
        returns (int256[] memory positions, bool isListed)
    {
        positions = new int256[](256); // a place is a byte: no payment reaches other memory
        uint256 outside;
        assembly ("memory-safe") {
            // Adding 128 - count to a place below 128 sets its highest bit just when it is outside.
            let distance := mul(sub(MAX_PLACES, count), ONES)
            let table := add(positions, 32)
            let place := add(payments, 32)
            for { let end := add(place, length) } lt(place, end) { place := add(place, 30) } {
                let three := mload(place)
                let places := and(three, PLACES)
                outside := or(outside, or(places, add(places, distance)))

                let amount := shr(192, three)
                let payer := add(table, shl(5, byte(8, three)))
                mstore(payer, sub(mload(payer), amount))
                let payee := add(table, shl(5, byte(9, three)))
                mstore(payee, add(mload(payee), amount))

                amount := and(shr(112, three), 0xffffffffffffffff)
                payer := add(table, shl(5, byte(18, three)))
                mstore(payer, sub(mload(payer), amount))
                payee := add(table, shl(5, byte(19, three)))
                mstore(payee, add(mload(payee), amount))

                amount := and(shr(32, three), 0xffffffffffffffff)
                payer := add(table, shl(5, byte(28, three)))
                mstore(payer, sub(mload(payer), amount))
                payee := add(table, shl(5, byte(29, three)))
                mstore(payee, add(mload(payee), amount))
            }
            mstore(positions, count)
        }
        isListed = outside & HIGHEST_BITS == 0;
    }
}
