// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {AccountWord} from "./AccountWord.sol";
import {DIGITAL_CURRENCY_SLOT, tierSlot} from "./DigitalCurrencyStorage.sol";
import {TierWord} from "./TierWord.sol";

/// @title The plain payments of a batch
/// @notice Reads packed records from calldata, recovers their payers, and asks all rules at once: if none can object, the
/// payment is done here. Anything else (a waterfall, a refusal, a hold, a tier that this batch has not met) is left
/// untouched for the caller, who asks rule by rule. This is the one place where gas is paid for with assembly.
///
/// All memory is one frame at a constant address, written once for the batch and reused by every record: reaching into
/// it takes one push, and memory that grows with the batch would make 500 payments dearer than 100.
///
/// Some comparisons ask several rules at once:
/// - what the payer's word has of participant, of flags that forbid and of balance, less the participant and the amount,
///   fits the balance's 96 bits just when participant and flags are as they must be and the balance is enough;
/// - what the payee's tier allows (its holding limit, and the flag REGISTERED) less what the payee has of flags and balance
///   and the amount fits 96 bits just when the flags are as they must be and the holding limit is kept;
/// - day and spentToday as one number, with the amount added, exceed today's ceiling just when the daily limit is passed.
library PlainPayments {
    /// @dev Flat: payee 20 | amount 5 | nonce 4 | r 32 | vs 32.
    uint256 internal constant RECORD_BYTES = 93;
    /// @dev Grouped: payee 20 | count 2, then so many records without the payee. A head of zeros ends the groups; flat
    /// records may follow.
    uint256 internal constant HEAD_BYTES = 22;
    uint256 internal constant GROUPED_RECORD_BYTES = 73;
    /// @dev Fan-out: payee 20 | amount 5.
    uint256 internal constant ENTRY_BYTES = 25;

    /// @dev Half the order of secp256k1: a higher s is the malleable twin of a valid signature.
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;
    /// @dev EIP-2098: the highest bit of s is the parity.
    uint256 private constant S_MASK = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff;

    bytes32 private constant PAYMENT_TYPEHASH =
        keccak256("Payment(address payee,uint256 amount,uint256 nonce,uint256 validBefore)");

    // Masks of the account word, as numbers: the compiler would keep what it computes on the stack, which is full.
    // What a payer's word must not show once the participant is taken out of it, with the balance: the participant's 16
    // bits, FROZEN, HAS_HOLD, CLOSED and SUSPENDED.
    uint256 private constant PAYER_MASK = 0x0000ca00ffff0000000000000000000000000000ffffffffffffffffffffffff;
    // The flags that decide about a payee (AccountWord.STATUS_MASK), with the balance.
    uint256 private constant PAYEE_MASK = 0x0000e30000000000000000000000000000000000ffffffffffffffffffffffff;
    // What a payment leaves as it is, but for the balance: participant, tier and flags.
    uint256 private constant KEPT_MASK = 0xffffffffffff0000000000000000000000000000000000000000000000000000;
    // AccountWord.SPENDING_MASK.
    uint256 private constant SPENDING_MASK = 0x000000000000ffffffffffffffffffff00000000000000000000000000000000;
    // Where limits less a payment show that one is passed; see `runFlat`.
    uint256 private constant PASSED_MASK = 0xffffffffffffffff000000000000000080000000ffffffff0000000000000000;
    // Nonce and balance.
    uint256 private constant LOWER_HALF = 0xffffffffffffffffffffffffffffffff;
    // IERC20.Transfer.selector
    uint256 private constant TRANSFER = 0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef;
    // The same as PAYER_MASK on the single path, where the payer must be registered and may be anyone's customer.
    uint256 private constant SINGLE_PAYER_MASK =
        AccountWord.REGISTERED | AccountWord.PAYER_REFUSED | AccountWord.HAS_HOLD | AccountWord.BALANCE_MASK;

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
    // Two words for each tier, zero, which allows nothing, until `learnTier`: the payee's ceiling, and the payer's limits,
    // each where the account word has what it limits: day and spentToday 80 | nonce 32 | perPaymentLimit 96. The nonce's
    // limit is 2^31, so that what is over shows in its highest bit.
    uint256 private constant TIERS = 0x600;
    uint256 private constant LIMITS = 0x620;
    uint256 private constant END = 0x4600;

    // What hashes before the frame may take at the free pointer.
    uint256 private constant HASHED_BEFORE = 0x100;

    error FrameTaken(uint256 freeMemory);

    /// @dev Allocates the frame. Memory costs up to the highest word that was touched: that is the highest tier of the
    /// batch, as long as nothing is allocated behind the frame. Nothing was written here before, so all is zero: before a
    /// frame there are only hashes of a few words at the free pointer, and what `hash` has cleared.
    function open(bytes32 separator, uint256 validBefore, uint256 participant, uint256 today) internal pure {
        uint256 free;
        bytes32 typehash = PAYMENT_TYPEHASH;
        bytes32 accounts = DIGITAL_CURRENCY_SLOT;
        assembly ("memory-safe") {
            free := mload(0x40)
        }
        if (free > TYPEHASH - HASHED_BEFORE) revert FrameTaken(free);
        assembly ("memory-safe") {
            mstore(0x40, END)
            mstore(TYPEHASH, typehash)
            mstore(VALID_BEFORE, validBefore)
            mstore(0x4a0, 0x1901)
            mstore(SEPARATOR, separator)
            mstore(ACCOUNTS, accounts)
            mstore(PARTICIPANT, shl(208, participant))
            mstore(TODAY, shl(192, today))
        }
    }

    /// @dev Frees the frame. Only when nothing behind it is in use: then the events that close a batch do not pay for
    /// memory that the batch did not touch.
    function close() internal pure {
        assembly ("memory-safe") {
            mstore(0x40, TYPEHASH)
        }
    }

    /// @dev keccak256(data), by way of the memory where the frame will be, which is zero again afterwards.
    function hash(bytes calldata data) internal pure returns (bytes32 result) {
        assembly ("memory-safe") {
            calldatacopy(TYPEHASH, data.offset, data.length)
            result := keccak256(TYPEHASH, data.length)
            calldatacopy(TYPEHASH, calldatasize(), data.length)
        }
    }

    /// @notice Executes plain payments of the flat form until one is not plain or all are done.
    ///
    /// What a payment adds to the payer's word is put together in place, as `spending`: day and spentToday with the amount
    /// added, and the next nonce. The limits less all that, less the amount again for the payment's own limit, are three
    /// differences in one word, and each shows in bits that it cannot reach while its limit is kept: the day's above its 64
    /// bits, the payment's above its 64, and the nonce's in its highest. (So from 2^31 on a nonce is not plain.) The lower
    /// limit of the nonce is the one consumed last; beside it in the word is the balance, which decides only if the next
    /// nonce is the stored one: it refuses then unless it is zero, and a payer without balance is refused anyway.
    /// @param here Where the next record starts in calldata; before `end`.
    /// @param end Where the batch ends.
    /// @param emitsTransfers Whether each payment is told by an event.
    /// @return next Where the record is that was not plain, or `end`.
    /// @return payer Who signed it, or zero.
    function runFlat(uint256 here, uint256 end, bool emitsTransfers) internal returns (uint256 next, address payer) {
        assembly ("memory-safe") {
            for {} 1 {} {
                let amount := calldataload(here)
                let nonce := and(shr(24, amount), 0xffffffff)
                mstore(NONCE, nonce)
                // What is too much is overwritten next.
                mstore(add(PAYEE, 12), amount)
                amount := and(shr(56, amount), 0xffffffffff)
                mstore(AMOUNT, amount)
                mstore(OWNER, mload(PAYEE))
                let payeeSlot := keccak256(OWNER, 64)
                mstore(STRUCT_HASH, keccak256(TYPEHASH, 160))
                mstore(DIGEST, keccak256(PREFIXED, 66))
                mstore(R, calldataload(add(here, 29)))
                let objections
                {
                    let s := calldataload(add(here, 61))
                    mstore(V, add(27, shr(255, s)))
                    s := and(s, S_MASK)
                    mstore(S, s)
                    // A failed ecrecover returns nothing and leaves the payee in place, who then would pay himself.
                    pop(staticcall(gas(), 1, DIGEST, 128, OWNER, 32))
                    objections := gt(s, HALF_ORDER)
                }
                let payerSlot := keccak256(OWNER, 64)
                objections := or(objections, or(iszero(amount), eq(payerSlot, payeeSlot)))
                let payerWord := sload(payerSlot)
                let beyond := sub(and(xor(payerWord, mload(PARTICIPANT)), PAYER_MASK), amount)
                {
                    let spending := and(payerWord, SPENDING_MASK)
                    spending := or(mload(TODAY), mul(spending, gt(spending, mload(TODAY))))
                    nonce := shl(96, add(nonce, 1))
                    spending := add(add(spending, nonce), shl(128, amount))
                    objections := or(objections, gt(and(payerWord, LOWER_HALF), nonce))
                    let limits := mload(add(LIMITS, shl(6, byte(3, payerWord))))
                    objections := or(objections, and(sub(limits, add(spending, amount)), PASSED_MASK))
                    payerWord := add(add(and(payerWord, KEPT_MASK), beyond), spending)
                }
                let payeeWord := sload(payeeSlot)
                {
                    let ceiling := mload(add(TIERS, shl(6, byte(3, payeeWord))))
                    payeeWord := add(payeeWord, amount)
                    beyond := or(beyond, sub(ceiling, and(payeeWord, PAYEE_MASK)))
                }
                if or(objections, shr(96, beyond)) { break }
                sstore(payerSlot, payerWord)
                sstore(payeeSlot, payeeWord)
                if emitsTransfers { log3(AMOUNT, 32, TRANSFER, mload(OWNER), mload(PAYEE)) }
                here := add(here, RECORD_BYTES)
                if iszero(lt(here, end)) { break }
            }
            payer := mul(mload(OWNER), iszero(or(iszero(returndatasize()), gt(mload(S), HALF_ORDER))))
        }
        next = here;
    }

    /// @notice Executes plain payments of groups until one is not plain or all are done. The payee's word is read and
    /// written once for each group. A payer differs from its payee, so that nothing else writes it meanwhile.
    /// @param here Where the next record starts in calldata; before `groupEnd`.
    /// @param groupEnd Where the records of the payee in the frame end.
    /// @param end Where the groups end.
    /// @param emitsTransfers Whether each payment is told by an event.
    /// @return nextHere Where the record is that was not plain, or `end`.
    /// @return nextGroupEnd Where the records of its payee end.
    /// @return payer Who signed it, or zero.
    function runGroups(uint256 here, uint256 groupEnd, uint256 end, bool emitsTransfers)
        internal
        returns (uint256 nextHere, uint256 nextGroupEnd, address payer)
    {
        assembly ("memory-safe") {
            for {} 1 {} {
                mstore(OWNER, mload(PAYEE))
                let payeeSlot := keccak256(OWNER, 64)
                let payeeWord := sload(payeeSlot)
                let room := sub(mload(add(TIERS, shl(6, byte(3, payeeWord)))), and(payeeWord, PAYEE_MASK))
                for {} 1 {} {
                    let amount := calldataload(here)
                    let nonce := and(shr(184, amount), 0xffffffff)
                    mstore(NONCE, nonce)
                    amount := shr(216, amount)
                    mstore(AMOUNT, amount)
                    mstore(STRUCT_HASH, keccak256(TYPEHASH, 160))
                    mstore(DIGEST, keccak256(PREFIXED, 66))
                    mstore(R, calldataload(add(here, 9)))
                    let objections
                    {
                        let s := calldataload(add(here, 41))
                        mstore(V, add(27, shr(255, s)))
                        s := and(s, S_MASK)
                        mstore(S, s)
                        // A failed ecrecover returns nothing and leaves the payer before: only returndatasize tells.
                        pop(staticcall(gas(), 1, DIGEST, 128, OWNER, 32))
                        objections := or(iszero(mul(amount, returndatasize())), gt(s, HALF_ORDER))
                    }
                    let payerSlot := keccak256(OWNER, 64)
                    objections := or(objections, eq(payerSlot, payeeSlot))
                    let payerWord := sload(payerSlot)
                    let beyond := sub(and(xor(payerWord, mload(PARTICIPANT)), PAYER_MASK), amount)
                    // As in `runFlat`.
                    {
                        let spending := and(payerWord, SPENDING_MASK)
                        spending := or(mload(TODAY), mul(spending, gt(spending, mload(TODAY))))
                        nonce := shl(96, add(nonce, 1))
                        spending := add(add(spending, nonce), shl(128, amount))
                        objections := or(objections, gt(and(payerWord, LOWER_HALF), nonce))
                        let limits := mload(add(LIMITS, shl(6, byte(3, payerWord))))
                        objections := or(objections, and(sub(limits, add(spending, amount)), PASSED_MASK))
                        payerWord := add(add(and(payerWord, KEPT_MASK), beyond), spending)
                    }
                    room := sub(room, amount)
                    if or(objections, shr(96, or(beyond, room))) { break }
                    sstore(payerSlot, payerWord)
                    payeeWord := add(payeeWord, amount)
                    if emitsTransfers { log3(AMOUNT, 32, TRANSFER, mload(OWNER), mload(PAYEE)) }
                    here := add(here, GROUPED_RECORD_BYTES)
                    if iszero(lt(here, groupEnd)) { break }
                }
                sstore(payeeSlot, payeeWord)
                if or(lt(here, groupEnd), eq(here, end)) { break }

                groupEnd := calldataload(here)
                here := add(here, HEAD_BYTES)
                mstore(PAYEE, shr(96, groupEnd))
                groupEnd := add(here, mul(GROUPED_RECORD_BYTES, and(shr(80, groupEnd), 0xffff)))
            }
            payer := mul(mload(OWNER), iszero(or(iszero(returndatasize()), gt(mload(S), HALF_ORDER))))
        }
        (nextHere, nextGroupEnd) = (here, groupEnd);
    }

    /// @notice Puts a group's payee into the frame.
    /// @param head Where the group starts in calldata.
    /// @return here Where its first record starts.
    /// @return groupEnd Where its records end.
    function openGroup(uint256 head) internal pure returns (uint256 here, uint256 groupEnd) {
        uint256 count;
        (count, here) = readHead(head);
        groupEnd = here + count * GROUPED_RECORD_BYTES;
        assembly ("memory-safe") {
            mstore(PAYEE, shr(96, calldataload(head)))
        }
    }

    /// @return count How many records a group has.
    /// @return here Where the first of them starts.
    function readHead(uint256 head) internal pure returns (uint256 count, uint256 here) {
        assembly ("memory-safe") {
            count := and(shr(80, calldataload(head)), 0xffff)
        }
        here = head + HEAD_BYTES;
    }

    /// @notice Executes plain payments of one payer until one is not plain or all are done. The payer's word is read and
    /// written once; its nonce was consumed before. While this runs an empty word stands for it, which as a payee is not
    /// plain: so no entry need be asked whether it pays the payer. Nothing is called and nothing reverts until the word is
    /// back.
    /// @param here Where the next entry starts in calldata; before `end`.
    /// @param end Where the entries end.
    /// @param payerSlot Where the payer's word is.
    /// @return next Where the entry is that was not plain, or `end`.
    function runFanOut(uint256 here, uint256 end, address payer, uint256 payerSlot, bool emitsTransfers)
        internal
        returns (uint256 next)
    {
        assembly ("memory-safe") {
            let word := sload(payerSlot)
            let limits := mload(add(LIMITS, shl(6, byte(3, word))))
            // What may still be paid: the least of balance and daily limit, or nothing.
            let room := and(xor(word, mload(PARTICIPANT)), PAYER_MASK)
            room := mul(room, iszero(shr(96, room)))
            let spent := and(shr(128, word), 0xffffffffffffffffffff)
            let today := shr(128, mload(TODAY))
            spent := or(today, mul(spent, gt(spent, today)))
            let daily := sub(shr(128, limits), spent)
            daily := mul(daily, iszero(shr(80, daily)))
            room := xor(room, mul(xor(room, daily), lt(daily, room)))
            let before := room
            limits := and(limits, 0xffffffffffffffff)
            sstore(payerSlot, 0)

            for {} 1 {} {
                let amount := calldataload(here)
                mstore(OWNER, shr(96, amount))
                amount := and(shr(56, amount), 0xffffffffff)
                let payeeSlot := keccak256(OWNER, 64)
                let payeeWord := sload(payeeSlot)
                let ceiling := mload(add(TIERS, shl(6, byte(3, payeeWord))))
                payeeWord := add(payeeWord, amount)
                room := sub(room, amount)
                if or(
                    or(iszero(amount), gt(amount, limits)), shr(96, or(room, sub(ceiling, and(payeeWord, PAYEE_MASK))))
                ) {
                    room := add(room, amount)
                    break
                }
                sstore(payeeSlot, payeeWord)
                if emitsTransfers {
                    mstore(AMOUNT, amount)
                    log3(AMOUNT, 32, TRANSFER, payer, mload(OWNER))
                }
                here := add(here, ENTRY_BYTES)
                if iszero(lt(here, end)) { break }
            }
            let paid := sub(before, room)
            if paid { word := sub(or(and(word, not(SPENDING_MASK)), shl(128, add(spent, paid))), paid) }
            sstore(payerSlot, word)
        }
        next = here;
    }

    /// @notice A plain payment of the single path: no frame, and the tiers' words from storage. Never while paused.
    /// @return objections Zero if it is done; else it is not plain, and nothing was done.
    function pay(address payer, address payee, uint256 amount) internal returns (uint256 objections) {
        bytes32 transferTopic = IERC20.Transfer.selector;
        uint256 tiers = tierSlot(0);
        uint256 registered = AccountWord.REGISTERED;
        uint256 payerMask = SINGLE_PAYER_MASK;
        uint256 payeeMask = PAYEE_MASK;
        uint256 spendingMask = AccountWord.SPENDING_MASK;
        assembly ("memory-safe") {
            mstore(0, payee)
            mstore(0x20, sub(tiers, 3)) // accounts is the first member, tiers the fourth
            let payeeSlot := keccak256(0, 0x40)
            mstore(0, payer)
            let payerSlot := keccak256(0, 0x40)
            let word := sload(payerSlot)
            let payeeWord := sload(payeeSlot)
            objections := or(iszero(amount), eq(payerSlot, payeeSlot))
            let beyond := sub(and(xor(word, registered), payerMask), amount)
            {
                let limits := sload(add(tiers, byte(3, word)))
                let spent := and(shr(128, word), 0xffffffffffffffffffff)
                let today := shl(64, and(div(timestamp(), 86400), 0xffff))
                spent := add(amount, or(today, mul(spent, gt(spent, today))))
                // The highest bit is PAUSED.
                objections := or(objections, shr(255, limits))
                objections := or(objections, gt(amount, and(shr(96, limits), 0xffffffffffffffff)))
                objections := or(objections, gt(spent, add(today, and(shr(160, limits), 0xffffffffffffffff))))
                word := sub(or(and(word, not(spendingMask)), shl(128, spent)), amount)
            }
            {
                let ceiling := or(registered, and(sload(add(tiers, byte(3, payeeWord))), 0xffffffffffffffffffffffff))
                beyond := or(beyond, sub(ceiling, add(and(payeeWord, payeeMask), amount)))
            }
            objections := or(objections, shr(96, beyond))
            if iszero(objections) {
                sstore(payerSlot, word)
                sstore(payeeSlot, add(payeeWord, amount))
                mstore(0, amount)
                log3(0, 0x20, transferTopic, payer, payee)
            }
        }
    }

    /// @notice The shape of a batch of the grouped form.
    /// @return grouped How many records its groups have.
    /// @return groupsEnd Where the groups end.
    /// @return flat Where the flat records start: at the end, or behind the head of zeros that ends the groups. Beyond the
    /// end if bytes are missing.
    function measure(bytes calldata groups) internal pure returns (uint256 grouped, uint256 groupsEnd, uint256 flat) {
        assembly ("memory-safe") {
            let end := add(groups.offset, groups.length)
            flat := groups.offset
            for {} lt(flat, end) {} {
                groupsEnd := flat
                let head := shr(80, calldataload(flat))
                let count := and(head, 0xffff)
                flat := add(flat, add(HEAD_BYTES, mul(GROUPED_RECORD_BYTES, count)))
                grouped := add(grouped, count)
                if iszero(count) {
                    // A payee without records.
                    if head { flat := add(end, 1) }
                    break
                }
                groupsEnd := flat
            }
        }
    }

    /// @notice What the last record says, for one that was not plain.
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

    /// @notice An entry of a fan-out.
    function readEntry(uint256 here) internal pure returns (address payee, uint256 amount) {
        assembly ("memory-safe") {
            let entry := calldataload(here)
            payee := shr(96, entry)
            amount := and(shr(56, entry), 0xffffffffff)
        }
    }

    /// @notice Lets the payments of a tier be plain from now on.
    function learnTier(uint256 id) internal view {
        uint256 slot = tierSlot(id);
        uint256 tier;
        assembly ("memory-safe") {
            if iszero(mload(add(LIMITS, shl(6, id)))) { tier := sload(slot) }
        }
        if (tier == 0) return;
        uint256 ceiling = AccountWord.REGISTERED | TierWord.holdingLimit(tier);
        uint256 daily = TierWord.dailyLimit(tier);
        uint256 perPayment = TierWord.perPaymentLimit(tier);
        assembly ("memory-safe") {
            mstore(add(TIERS, shl(6, id)), ceiling)
            mstore(add(LIMITS, shl(6, id)), or(or(perPayment, shl(127, 1)), add(shl(128, daily), mload(TODAY))))
        }
    }

    function participantOfBatch() internal pure returns (uint256 id) {
        assembly ("memory-safe") {
            id := shr(208, mload(PARTICIPANT))
        }
    }
}
