// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {AccountWord} from "./AccountWord.sol";
import {DigitalCurrencyStorage, accountSlot, digitalCurrencyStorage, load, store} from "./DigitalCurrencyStorage.sol";
import {PlainPayments} from "./PlainPayments.sol";
import {Reason} from "./Reason.sol";
import {Standing} from "./Standing.sol";
import {TierWord} from "./TierWord.sol";
import {IPayments} from "./interfaces/IPayments.sol";

/// @title The rules of a payment
/// @notice `_pay` is what a payment is, on every path.
abstract contract Payments is IPayments, Standing {
    using AccountWord for uint256;
    using TierWord for uint256;

    /// @dev Writes both accounts, or writes nothing and returns why.
    /// @param payerWord As it is to be but for this payment: with the nonce that it consumes.
    /// @param isTold Whether Transfers tell of it; in a deployment with the batch event, the records of the batch do.
    function _pay(uint256 payerSlot, uint256 payerWord, address payer, address payee, uint256 amount, bool isTold)
        internal
        returns (uint256)
    {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        unchecked {
            if (amount == 0) return Reason.ZERO_AMOUNT;
            if (payer == payee) return Reason.SELF_PAYMENT;
            if (payerWord.has(AccountWord.PAYER_REFUSED)) return Reason.ofPayer(payerWord);
            uint256 payeeSlot = accountSlot(payee);
            uint256 payeeWord = load(payeeSlot);
            if (!_receives(payeeWord, payee)) return Reason.ofPayee(payeeWord);

            uint256 limits = $.tiers[payerWord.tier()];
            if (amount > limits.perPaymentLimit()) return Reason.PER_PAYMENT_LIMIT_EXCEEDED;
            uint256 today = _today();
            uint256 spent = payerWord.spentOn(today) + amount;
            if (spent > limits.dailyLimit()) {
                if (limits.dailyLimit() != type(uint64).max) return Reason.DAILY_LIMIT_EXCEEDED;
                spent = type(uint64).max;
            }
            if (amount > payerWord.balance()) return Reason.INSUFFICIENT_BALANCE;
            if (payerWord.has(AccountWord.HAS_HOLD) && amount > _available(payer, payerWord)) return Reason.FUNDS_HELD;
            payerWord = payerWord.withSpending(spent, today) - amount;

            uint256 held = payeeWord.balance() + amount;
            uint256 limit = $.tiers[payeeWord.tier()].holdingLimit();
            if (held > limit) {
                address bank = _waterfallBank(payerWord, payeeWord);
                if (bank == address(0)) return Reason.HOLDING_LIMIT_EXCEEDED;
                uint256 excess = held - limit < amount ? held - limit : amount;
                store(payerSlot, payerWord);
                store(payeeSlot, payeeWord + amount - excess);
                if (isTold) emit Transfer(payer, payee, amount);
                _cascade(payee, bank, excess, isTold);
                return 0;
            }
            store(payerSlot, payerWord);
            store(payeeSlot, payeeWord + amount);
            if (isTold) emit Transfer(payer, payee, amount);
            return 0;
        }
    }

    /// @dev A payee must be in good standing; a system account is paid only by a call of its own.
    function _receives(uint256 word, address payee) private view returns (bool) {
        uint256 status = word & AccountWord.STATUS_MASK;
        if (status == AccountWord.REGISTERED) return true;
        return status == AccountWord.REGISTERED | AccountWord.SYSTEM && msg.sender == payee;
    }

    /// @dev The account that takes what the payee may not hold, or zero: it takes a linked payee with a bank in good
    /// standing, and neither side an institution (funding would flow straight back) or a system account.
    function _waterfallBank(uint256 payerWord, uint256 payeeWord) private view returns (address bank) {
        if ((payerWord | payeeWord).has(AccountWord.INSTITUTION | AccountWord.SYSTEM)) return address(0);
        if (!payeeWord.has(AccountWord.LINKED)) return address(0);
        bank = digitalCurrencyStorage().participants[payeeWord.participant()].institution;
        if (load(accountSlot(bank)) & AccountWord.STATUS_MASK != AccountWord.REGISTERED) return address(0);
    }

    /// @dev The bank is neither payer nor payee: it is an institution and they are not. Its balance cannot overflow: the
    /// supply fits 96 bits.
    function _cascade(address payee, address bank, uint256 excess, bool isTold) private {
        uint256 slot = accountSlot(bank);
        store(slot, load(slot) + excess);
        if (isTold) emit Transfer(payee, bank, excess);
        emit Waterfall(payee, bank, excess);
    }

    function _transfer(address payer, address payee, uint256 amount) internal {
        if (PlainPayments.pay(payer, payee, amount) != 0) _transferUnusual(payer, payee, amount);
    }

    function _transferUnusual(address payer, address payee, uint256 amount) private {
        uint256 slot = accountSlot(payer);
        uint256 word = load(slot);
        if (!word.has(AccountWord.REGISTERED)) revert PayerNotRegistered(payer);
        if (digitalCurrencyStorage().tiers[word.tier()].isPaused()) revert CurrencyPaused();
        uint256 reason = _pay(slot, word, payer, payee, amount, true);
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
        if (reason == Reason.PAYER_SUSPENDED) revert PayerSuspended(payer);
        if (reason == Reason.PAYEE_NOT_REGISTERED) revert PayeeNotRegistered(payee);
        if (reason == Reason.PAYEE_FROZEN) revert PayeeFrozen(payee);
        if (reason == Reason.PAYEE_CLOSED) revert PayeeClosed(payee);
        if (reason == Reason.PAYEE_SUSPENDED) revert PayeeSuspended(payee);
        if (reason == Reason.PAYEE_IS_SYSTEM) revert PayeeIsSystem(payee);
        if (reason == Reason.PER_PAYMENT_LIMIT_EXCEEDED) {
            revert PerPaymentLimitExceeded(payer, amount, limits.perPaymentLimit());
        }
        if (reason == Reason.DAILY_LIMIT_EXCEEDED) {
            revert DailyLimitExceeded(payer, word.spentOn(_today()) + amount, limits.dailyLimit());
        }
        if (reason == Reason.INSUFFICIENT_BALANCE) revert InsufficientBalance(payer, word.balance(), amount);
        if (reason == Reason.FUNDS_HELD) revert FundsHeld(payer, _available(payer, word), amount);
        uint256 held = $.accounts[payee].balance() + amount;
        uint256 limit = $.tiers[$.accounts[payee].tier()].holdingLimit();
        revert HoldingLimitExceeded(payee, held - limit < amount ? held - limit : amount, limit);
    }

    function _today() internal view returns (uint256) {
        return (block.timestamp / 1 days) & type(uint16).max;
    }
}
