// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {AccountWord} from "./AccountWord.sol";
import {accountSlot, load, store, tierSlot} from "./DigitalCurrencyStorage.sol";
import {Payments} from "./Payments.sol";
import {PlainPayments} from "./PlainPayments.sol";
import {Reason} from "./Reason.sol";
import {Skips} from "./Skips.sol";
import {TierWord} from "./TierWord.sol";

/// @title Batches of signed payments
/// @notice A batch first tries each record as a plain one (PlainPayments), which asks the same rules at once and refuses
/// nothing; what is not plain is decided here, by `_pay`, rule by rule.
abstract contract Batches is Payments {
    using AccountWord for uint256;
    using TierWord for uint256;

    bytes32 private constant FAN_OUT_TYPEHASH = keccak256("FanOut(bytes payments,uint256 nonce,uint256 validBefore)");

    /// @dev Whether each payment of a batch is told by a Transfer. If not, the records of the call tell of it: all of them
    /// but those that Skipped names.
    function _emitsTransfers() internal pure virtual returns (bool);

    function settle(bytes calldata records, uint64 validBefore) external {
        Skips memory skips;
        uint256 id = _openBatch(validBefore, _domainSeparator());
        _closeBatch(id, skips, _settleFlat(records, skips));
    }

    function settleGrouped(bytes calldata groups, uint64 validBefore) external {
        Skips memory skips;
        uint256 id = _openBatch(validBefore, _domainSeparator());
        _closeBatch(id, skips, _settleGrouped(groups, skips));
    }

    function settleFanOut(bytes calldata payments, uint32 nonce, uint64 validBefore, bytes32 r, bytes32 vs) external {
        Skips memory skips;
        bytes32 separator = _domainSeparator();
        (address payer, bool isSigned) = _recoverFanOut(payments, nonce, validBefore, r, vs, separator);
        uint256 id = _openBatch(validBefore, separator);
        uint256 count = payments.length / PlainPayments.ENTRY_BYTES;
        if (count == 0 || payments.length % PlainPayments.ENTRY_BYTES != 0) revert MalformedBatch(payments.length);
        if (!isSigned) revert BadSignature();
        _settleFanOut(payments, payer, nonce, skips);
        _closeBatch(id, skips, count);
    }

    // ------------------------------------------------------------------------------------------------ inside

    function _settleFlat(bytes calldata records, Skips memory skips) private returns (uint256 count) {
        count = _countFlat(records.length, records.length);
        if (count == 0) revert MalformedBatch(records.length);
        _runFlat(_offset(records), _offset(records) + records.length, 0, count, skips);
    }

    function _settleGrouped(bytes calldata groups, Skips memory skips) private returns (uint256 count) {
        (uint256 grouped, uint256 groupsEnd, uint256 flat) = PlainPayments.measure(groups);
        uint256 start = _offset(groups);
        uint256 end = start + groups.length;
        if (flat > end) revert MalformedBatch(groups.length);
        count = grouped + _countFlat(end - flat, groups.length);
        if (count == 0) revert MalformedBatch(groups.length);
        if (grouped != 0) _runGroups(start, groupsEnd, count, skips);
        if (flat != end) _runFlat(flat, end, grouped, count, skips);
    }

    /// @param indexOfFirst Of the first record, in the whole batch of `count` records.
    function _runFlat(uint256 first, uint256 end, uint256 indexOfFirst, uint256 count, Skips memory skips) private {
        unchecked {
            (uint256 here, address payer) = PlainPayments.runFlat(first, end, _emitsTransfers());
            while (here != end) {
                uint256 reason = _settleUnusual(payer);
                if (reason != 0) skips.add(indexOfFirst + (here - first) / PlainPayments.RECORD_BYTES, reason, count);
                here += PlainPayments.RECORD_BYTES;
                if (here == end) break;
                (here, payer) = PlainPayments.runFlat(here, end, _emitsTransfers());
            }
        }
    }

    function _runGroups(uint256 head, uint256 end, uint256 count, Skips memory skips) private {
        unchecked {
            address payer;
            uint256 indexOfHead = 0;
            (uint256 here, uint256 groupEnd) = PlainPayments.openGroup(head);
            (here, groupEnd, payer) = PlainPayments.runGroups(here, groupEnd, end, _emitsTransfers());
            while (here != end) {
                (head, indexOfHead) = _advance(head, indexOfHead, here);
                uint256 reason = _settleUnusual(payer);
                if (reason != 0) {
                    uint256 place = (here - head - PlainPayments.HEAD_BYTES) / PlainPayments.GROUPED_RECORD_BYTES;
                    skips.add(indexOfHead + place, reason, count);
                }
                here += PlainPayments.GROUPED_RECORD_BYTES;
                if (here == end) break;
                if (here == groupEnd) (here, groupEnd) = PlainPayments.openGroup(here);
                (here, groupEnd, payer) = PlainPayments.runGroups(here, groupEnd, end, _emitsTransfers());
            }
        }
    }

    /// @return head_ Of the group that holds the record at `here`; it is this group or a later one.
    /// @return indexOfHead_ Of its first record, in the whole batch.
    function _advance(uint256 head, uint256 indexOfHead, uint256 here)
        private
        pure
        returns (uint256 head_, uint256 indexOfHead_)
    {
        (head_, indexOfHead_) = (head, indexOfHead);
        unchecked {
            while (true) {
                (uint256 count, uint256 first) = PlainPayments.readHead(head_);
                uint256 next = first + count * PlainPayments.GROUPED_RECORD_BYTES;
                if (here < next) break;
                head_ = next;
                indexOfHead_ += count;
            }
        }
    }

    /// @param length Of the flat records; `whole` is the batch's, for the error.
    function _countFlat(uint256 length, uint256 whole) private pure returns (uint256) {
        if (length % PlainPayments.RECORD_BYTES != 0) revert MalformedBatch(whole);
        return length / PlainPayments.RECORD_BYTES;
    }

    /// @return reason Why the record in the frame was skipped, or zero.
    function _settleUnusual(address payer) private returns (uint256 reason) {
        if (payer == address(0)) return Reason.BAD_SIGNATURE;
        (address payee, uint256 amount, uint256 next) = PlainPayments.read();
        uint256 slot = accountSlot(payer);
        uint256 word = load(slot);
        if (word.participant() != PlainPayments.participantOfBatch()) return Reason.PAYER_NOT_OF_PARTICIPANT;
        if (next <= word.nonce()) return Reason.NONCE_USED;

        PlainPayments.learnTier(word.tier());
        PlainPayments.learnTier(load(accountSlot(payee)).tier());
        word = word.withNonce(next);
        reason = _pay(slot, word, payer, payee, amount, _emitsTransfers());
        if (reason != 0) store(slot, word);
    }

    /// @dev Before the frame, whose memory the payments pass through.
    function _recoverFanOut(
        bytes calldata payments,
        uint32 nonce,
        uint64 validBefore,
        bytes32 r,
        bytes32 vs,
        bytes32 separator
    ) private pure returns (address payer, bool isSigned) {
        bytes32 content = keccak256(abi.encode(FAN_OUT_TYPEHASH, PlainPayments.hash(payments), nonce, validBefore));
        ECDSA.RecoverError failure;
        (payer, failure,) = ECDSA.tryRecover(MessageHashUtils.toTypedDataHash(separator, content), r, vs);
        isSigned = failure == ECDSA.RecoverError.NoError;
    }

    function _settleFanOut(bytes calldata payments, address payer, uint32 nonce, Skips memory skips) private {
        uint256 slot = accountSlot(payer);
        uint256 word = load(slot);
        if (word.participant() != PlainPayments.participantOfBatch()) {
            revert PayerNotOfParticipant(payer, word.participant());
        }
        if (nonce < word.nonce() || nonce == type(uint32).max) revert NonceUsed(payer, nonce, word.nonce());
        store(slot, word.withNonce(uint256(nonce) + 1));
        PlainPayments.learnTier(word.tier());
        unchecked {
            uint256 first = _offset(payments);
            uint256 here = first;
            uint256 end = first + payments.length;
            here = PlainPayments.runFanOut(here, end, payer, slot, _emitsTransfers());
            while (here != end) {
                (address payee, uint256 amount) = PlainPayments.readEntry(here);
                PlainPayments.learnTier(load(accountSlot(payee)).tier());
                uint256 reason = _pay(slot, load(slot), payer, payee, amount, _emitsTransfers());
                if (reason != 0) {
                    uint256 count = payments.length / PlainPayments.ENTRY_BYTES;
                    skips.add((here - first) / PlainPayments.ENTRY_BYTES, reason, count);
                }
                here += PlainPayments.ENTRY_BYTES;
                if (here == end) break;
                here = PlainPayments.runFanOut(here, end, payer, slot, _emitsTransfers());
            }
        }
    }

    function _offset(bytes calldata data) private pure returns (uint256 offset) {
        assembly ("memory-safe") {
            offset := data.offset
        }
    }

    /// @dev Asks the tier of the caller for the pause, as every payment does.
    function _openBatch(uint64 validBefore, bytes32 separator) private view returns (uint256 id) {
        uint256 word = _requireParticipant();
        if (load(tierSlot(word.tier())).isPaused()) revert CurrencyPaused();
        if (block.timestamp >= validBefore) revert BatchExpired(validBefore, block.timestamp);
        id = word.participant();
        PlainPayments.open(separator, validBefore, id, _today());
    }

    function _closeBatch(uint256 id, Skips memory skips, uint256 count) private {
        if (skips.count == 0) PlainPayments.close();
        else emit Skipped(skips.bitmap, skips.trimmedReasons());
        emit BatchSettled(uint16(id), count, count - skips.count);
    }
}
