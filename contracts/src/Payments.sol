// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {AccountWord} from "./AccountWord.sol";
import {DigitalCurrencyStorage, accountSlot, digitalCurrencyStorage, load, store} from "./DigitalCurrencyStorage.sol";
import {PlainPayments} from "./PlainPayments.sol";
import {Reason} from "./Reason.sol";
import {Skips} from "./Skips.sol";
import {TierWord} from "./TierWord.sol";
import {IDigitalCurrency} from "./interfaces/IDigitalCurrency.sol";

/// @title The rules of a payment
/// @notice `_pay` is what a payment is, on both paths. A batch first tries each record as a plain one (PlainPayments),
/// which asks the same rules at once and refuses nothing.
abstract contract Payments is IDigitalCurrency {
    using AccountWord for uint256;
    using TierWord for uint256;

    function _settleAll(bytes calldata records, Skips memory skips) internal {
        unchecked {
            uint256 offset;
            uint256 first;
            assembly ("memory-safe") {
                first := records.offset
            }
            while (offset != records.length) {
                (bool isDone, address payer) = PlainPayments.execute(first + offset);
                if (!isDone) {
                    uint256 reason = _settleUnusual(payer);
                    if (reason != 0) skips.add(offset / PlainPayments.RECORD_BYTES, reason);
                }
                offset += PlainPayments.RECORD_BYTES;
            }
        }
    }

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
        reason = _pay(slot, word, payer, payee, amount);
        if (reason != 0) store(slot, word);
    }

    /// @dev Writes both accounts, or writes nothing and returns why.
    function _pay(uint256 payerSlot, uint256 payerWord, address payer, address payee, uint256 amount)
        private
        returns (uint256)
    {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        unchecked {
            if (amount == 0) return Reason.ZERO_AMOUNT;
            if (payer == payee) return Reason.SELF_PAYMENT;
            if (payerWord.has(AccountWord.FROZEN | AccountWord.CLOSED)) return Reason.ofPayer(payerWord);
            uint256 payeeSlot = accountSlot(payee);
            uint256 payeeWord = load(payeeSlot);
            if (payeeWord & AccountWord.STATUS_MASK != AccountWord.REGISTERED) return Reason.ofPayee(payeeWord);

            uint256 limits = $.tiers[payerWord.tier()];
            if (amount > limits.perPaymentLimit()) return Reason.PER_PAYMENT_LIMIT_EXCEEDED;
            uint256 today = _today();
            uint256 spent = payerWord.spentOn(today) + amount;
            if (spent > limits.dailyLimit()) {
                if (limits.dailyLimit() != type(uint64).max) return Reason.DAILY_LIMIT_EXCEEDED;
                spent = type(uint64).max;
            }
            if (amount > payerWord.balance()) return Reason.INSUFFICIENT_BALANCE;
            payerWord = payerWord.withSpending(spent, today) - amount;

            uint256 held = payeeWord.balance() + amount;
            uint256 limit = $.tiers[payeeWord.tier()].holdingLimit();
            if (held > limit) {
                address bank = _waterfallBank(payerWord, payeeWord);
                if (bank == address(0)) return Reason.HOLDING_LIMIT_EXCEEDED;
                uint256 excess = held - limit < amount ? held - limit : amount;
                store(payerSlot, payerWord);
                store(payeeSlot, payeeWord + amount - excess);
                emit Transfer(payer, payee, amount);
                _cascade(payee, bank, excess);
                return 0;
            }
            store(payerSlot, payerWord);
            store(payeeSlot, payeeWord + amount);
            emit Transfer(payer, payee, amount);
            return 0;
        }
    }

    /// @dev The account that takes what the payee may not hold, or zero: it takes a linked payee with a bank in good
    /// standing, and neither side an institution (funding would flow straight back).
    function _waterfallBank(uint256 payerWord, uint256 payeeWord) private view returns (address bank) {
        if ((payerWord | payeeWord).has(AccountWord.INSTITUTION)) return address(0);
        if (!payeeWord.has(AccountWord.LINKED)) return address(0);
        bank = digitalCurrencyStorage().participants[payeeWord.participant()].institution;
        if (load(accountSlot(bank)) & AccountWord.STATUS_MASK != AccountWord.REGISTERED) return address(0);
    }

    /// @dev The bank is neither payer nor payee: it is an institution and they are not. Its balance cannot overflow: the
    /// supply fits 96 bits.
    function _cascade(address payee, address bank, uint256 excess) private {
        uint256 slot = accountSlot(bank);
        store(slot, load(slot) + excess);
        emit Transfer(payee, bank, excess);
        emit Waterfall(payee, bank, excess);
    }

    function _transfer(address payer, address payee, uint256 amount) internal {
        uint256 slot = accountSlot(payer);
        uint256 word = load(slot);
        if (!word.has(AccountWord.REGISTERED)) revert PayerNotRegistered(payer);
        uint256 reason = _pay(slot, word, payer, payee, amount);
        if (reason != 0) _refuse(reason, payer, payee, amount);
    }

    /// @dev The reason of the batch as the custom error of the single path, with the values that explain it.
    function _refuse(uint256 reason, address payer, address payee, uint256 amount) private view {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        uint256 word = $.accounts[payer];
        uint256 limits = $.tiers[word.tier()];
        if (reason == Reason.ZERO_AMOUNT) revert ZeroAmount();
        if (reason == Reason.SELF_PAYMENT) revert SelfPayment(payer);
        if (reason == Reason.PAYER_FROZEN) revert PayerFrozen(payer);
        if (reason == Reason.PAYER_CLOSED) revert PayerClosed(payer);
        if (reason == Reason.PAYEE_NOT_REGISTERED) revert PayeeNotRegistered(payee);
        if (reason == Reason.PAYEE_FROZEN) revert PayeeFrozen(payee);
        if (reason == Reason.PAYEE_CLOSED) revert PayeeClosed(payee);
        if (reason == Reason.PER_PAYMENT_LIMIT_EXCEEDED) {
            revert PerPaymentLimitExceeded(payer, amount, limits.perPaymentLimit());
        }
        if (reason == Reason.DAILY_LIMIT_EXCEEDED) {
            revert DailyLimitExceeded(payer, word.spentOn(_today()) + amount, limits.dailyLimit());
        }
        if (reason == Reason.INSUFFICIENT_BALANCE) revert InsufficientBalance(payer, word.balance(), amount);
        uint256 held = $.accounts[payee].balance() + amount;
        uint256 limit = $.tiers[$.accounts[payee].tier()].holdingLimit();
        revert HoldingLimitExceeded(payee, held - limit < amount ? held - limit : amount, limit);
    }

    function _today() internal view returns (uint256) {
        return (block.timestamp / 1 days) & type(uint16).max;
    }
}
