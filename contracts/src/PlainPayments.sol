// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {AccountWord} from "./AccountWord.sol";
import {DIGITAL_CURRENCY_SLOT, tierSlot} from "./DigitalCurrencyStorage.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title The plain payments of a batch
/// @notice Reads one 93-byte record from calldata, recovers its payer, and asks all rules at once: if none can object,
/// the payment is done here. Anything else (a waterfall, a refusal, a tier that this batch has not met) is left untouched
/// for the caller, who asks rule by rule. This is the one place where gas is paid for with assembly.
///
/// All memory is one frame at a constant address, written once for the batch and reused by every record: reaching into
/// it takes one push, and memory that grows with the batch would make 500 payments dearer than 100.
library PlainPayments {
    uint256 internal constant RECORD_BYTES = 93;

    /// @dev Half the order of secp256k1: a higher s is the malleable twin of a valid signature.
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    bytes32 private constant PAYMENT_TYPEHASH =
        keccak256("Payment(address payee,uint256 amount,uint256 nonce,uint256 validBefore)");

    // The struct hash's input: five words from here.
    uint256 private constant TYPEHASH = 0x400;
    uint256 private constant PAYEE = 0x420;
    uint256 private constant AMOUNT = 0x440;
    uint256 private constant NONCE = 0x460;
    uint256 private constant VALID_BEFORE = 0x480;
    // The digest's input: from the last two bytes of the first of three words.
    uint256 private constant PREFIXED = 0x4be;
    uint256 private constant SEPARATOR = 0x4c0;
    uint256 private constant STRUCT_HASH = 0x4e0;
    // The input of ecrecover.
    uint256 private constant DIGEST = 0x500;
    uint256 private constant V = 0x520;
    uint256 private constant R = 0x540;
    uint256 private constant S = 0x560;
    // Where an account is: its address, and the slot of the mapping.
    uint256 private constant OWNER = 0x580;
    uint256 private constant ACCOUNTS = 0x5a0;
    // What is the same for all records, where the account word has it.
    uint256 private constant PARTICIPANT = 0x5c0;
    uint256 private constant TODAY = 0x5e0;
    // The words of the tiers; zero, which allows nothing, until `learnTier`.
    uint256 private constant TIERS = 0x600;
    uint256 private constant END = 0x2600;

    error FrameTaken(uint256 freeMemory);

    /// @dev Allocates the frame.
    function open(bytes32 separator, uint256 validBefore, uint256 participant, uint256 today) internal pure {
        uint256 free;
        bytes32 typehash = PAYMENT_TYPEHASH;
        bytes32 accounts = DIGITAL_CURRENCY_SLOT;
        assembly ("memory-safe") {
            free := mload(0x40)
        }
        if (free > TYPEHASH) revert FrameTaken(free);
        assembly ("memory-safe") {
            mstore(0x40, END)
            calldatacopy(TYPEHASH, calldatasize(), sub(END, TYPEHASH))
            mstore(TYPEHASH, typehash)
            mstore(VALID_BEFORE, validBefore)
            mstore(0x4a0, 0x1901)
            mstore(SEPARATOR, separator)
            mstore(ACCOUNTS, accounts)
            mstore(PARTICIPANT, shl(208, participant))
            mstore(TODAY, shl(64, today))
        }
    }

    /// @param record Where it starts in calldata.
    /// @return isDone True if the payment was executed.
    /// @return payer Who signed, or zero.
    function execute(uint256 record) internal returns (bool isDone, address payer) {
        uint256 payerMask = (uint256(type(uint16).max) << 208) | AccountWord.FROZEN | AccountWord.CLOSED;
        uint256 payeeMask = AccountWord.STATUS_MASK;
        uint256 registered = AccountWord.REGISTERED;
        uint256 keptMask = ~(AccountWord.NONCE_MASK | AccountWord.SPENDING_MASK);
        bytes32 transferTopic = IERC20.Transfer.selector;
        assembly ("memory-safe") {
            let payee := calldataload(record)
            let amount := and(shr(56, payee), 0xffffffffff)
            let nonce := and(shr(24, payee), 0xffffffff)
            payee := shr(96, payee)
            mstore(PAYEE, payee)
            mstore(AMOUNT, amount)
            mstore(NONCE, nonce)
            mstore(STRUCT_HASH, keccak256(TYPEHASH, 160))
            mstore(DIGEST, keccak256(PREFIXED, 66))
            let s := calldataload(add(record, 61))
            mstore(V, add(27, shr(255, s)))
            s := and(s, 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff)
            mstore(R, calldataload(add(record, 29)))
            mstore(S, s)
            // A failed ecrecover returns nothing and leaves the last payer in place: only returndatasize tells.
            pop(staticcall(gas(), 1, DIGEST, 128, OWNER, 32))
            let objections := or(iszero(returndatasize()), gt(s, HALF_ORDER))

            payer := mload(OWNER)
            let payerSlot := keccak256(OWNER, 64)
            let payerWord := sload(payerSlot)
            objections := or(objections, and(xor(payerWord, mload(PARTICIPANT)), payerMask))
            // The last nonce wraps to zero, which is not above any: it is never usable.
            nonce := and(add(nonce, 1), 0xffffffff)
            objections := or(objections, iszero(gt(nonce, and(shr(96, payerWord), 0xffffffff))))
            objections := or(objections, gt(amount, and(payerWord, 0xffffffffffffffffffffffff)))
            objections := or(objections, or(iszero(amount), eq(payer, payee)))

            // Day and spentToday are one number here, above TODAY just when something was spent today.
            let limits := mload(add(TIERS, shl(5, byte(3, payerWord))))
            let spent := sub(and(shr(128, payerWord), 0xffffffffffffffffffff), mload(TODAY))
            spent := add(amount, mul(spent, lt(spent, 0x10000000000000000)))
            objections := or(objections, gt(spent, shr(160, limits)))
            objections := or(objections, gt(amount, and(shr(96, limits), 0xffffffffffffffff)))
            payerWord := or(and(payerWord, keptMask), shl(96, or(nonce, shl(32, add(spent, mload(TODAY))))))

            mstore(OWNER, payee)
            let payeeSlot := keccak256(OWNER, 64)
            let payeeWord := sload(payeeSlot)
            objections := or(objections, xor(and(payeeWord, payeeMask), registered))
            limits := and(mload(add(TIERS, shl(5, byte(3, payeeWord)))), 0xffffffffffffffffffffffff)
            objections := or(objections, gt(add(and(payeeWord, 0xffffffffffffffffffffffff), amount), limits))

            switch objections
            case 0 {
                sstore(payerSlot, sub(payerWord, amount))
                sstore(payeeSlot, add(payeeWord, amount))
                log3(AMOUNT, 32, transferTopic, payer, payee)
                isDone := 1
            }
            default { payer := mul(payer, iszero(or(iszero(returndatasize()), gt(s, HALF_ORDER)))) }
        }
    }

    /// @notice What the last executed record says, for one that was not plain.
    /// @return payee Who is paid.
    /// @return amount In minor units.
    /// @return next The account's nonce after this record; zero for the last nonce.
    function read() internal pure returns (address payee, uint256 amount, uint256 next) {
        assembly ("memory-safe") {
            payee := mload(PAYEE)
            amount := mload(AMOUNT)
            next := and(add(mload(NONCE), 1), 0xffffffff)
        }
    }

    /// @notice Lets the payments of a tier be plain from now on.
    function learnTier(uint256 id) internal view {
        uint256 slot = tierSlot(id);
        assembly ("memory-safe") {
            let place := add(TIERS, shl(5, id))
            if iszero(mload(place)) { mstore(place, sload(slot)) }
        }
    }

    function participantOfBatch() internal pure returns (uint256 id) {
        assembly ("memory-safe") {
            id := shr(208, mload(PARTICIPANT))
        }
    }
}
