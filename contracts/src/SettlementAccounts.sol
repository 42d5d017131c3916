// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {AccountWord} from "./AccountWord.sol";
import {SettlementWord} from "./SettlementWord.sol";
import {IDigitalCurrency} from "./interfaces/IDigitalCurrency.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";

/// @title Settlement accounts: balances, consent and standing
abstract contract SettlementAccounts is ISettlement {
    using SafeERC20 for IDigitalCurrency;
    using SettlementWord for uint256;

    uint256 private constant SUSPENDED = 128;
    uint256 private constant STATUS_MASK =
        ((AccountWord.STATUS_MASK | AccountWord.INSTITUTION) >> 232) | SUSPENDED;
    uint256 private constant IN_GOOD_STANDING = (AccountWord.REGISTERED | AccountWord.INSTITUTION) >> 232;

    IDigitalCurrency public immutable currency;

    mapping(uint256 index => uint256 word) private _words;

    constructor(address currency_) {
        if (currency_.code.length == 0) revert CurrencyWithoutCode(currency_);
        currency = IDigitalCurrency(currency_);
    }

    function deposit(uint72 amount) external {
        uint16 id = _requireCaller();
        if (amount == 0) revert ZeroAmount();
        uint256 total = currency.balanceOf(address(this)) + amount;
        if (total > SettlementWord.BALANCE_MASK) revert SettlementBalanceExceeded(total, SettlementWord.BALANCE_MASK);

        _setStanding(id, true);
        _move(id, int256(uint256(amount)));
        emit Deposited(id, amount);
        currency.safeTransferFrom(msg.sender, address(this), amount);
    }

    function withdraw(uint72 amount) external {
        uint16 id = _requireCaller();
        if (amount == 0) revert ZeroAmount();

        _move(id, -int256(uint256(amount)));
        emit Withdrawn(id, amount);
        currency.safeTransfer(msg.sender, amount);
    }

    function setNetDebitCap(uint56 netDebitCap) external {
        uint16 id = _requireCaller();
        if (netDebitCap > SettlementWord.CAP_MASK) revert NetDebitCapTooLarge(netDebitCap, SettlementWord.CAP_MASK);

        _writeHalf(id, _half(id).withNetDebitCap(netDebitCap));
        emit NetDebitCapSet(id, netDebitCap);
    }

    function refreshStanding(uint16 id) external {
        _setStanding(id, _isInStanding(id));
    }

    // ------------------------------------------------------------------------------------------------ for the rooms above

    /// @return id The participant whose institution calls.
    function _requireCaller() internal view returns (uint16 id) {
        IDigitalCurrency.Account memory caller = currency.account(msg.sender);
        id = caller.participant;
        if (caller.flags & IN_GOOD_STANDING != IN_GOOD_STANDING) revert NotAParticipant(msg.sender);
        if (caller.flags & STATUS_MASK != IN_GOOD_STANDING) revert ParticipantNotInStanding(id);
    }

    function _requireInStanding(uint16 id) internal view {
        if (!_isInStanding(id)) revert ParticipantNotInStanding(id);
    }

    function _requireNotPaused() internal view {
        if (currency.paused()) revert CurrencyPaused();
    }

    function _balance(uint256 id) internal view returns (uint256) {
        return _half(id).balance();
    }

    /// @param position Positive receives.
    function _move(uint256 id, int256 position) internal {
        uint256 index = SettlementWord.index(id);
        uint256 shift = SettlementWord.shift(id);
        uint256 word = _words[index];
        unchecked {
            if (position < 0) _requireFunds(id, (word >> shift).balance(), uint256(-position));
            _words[index] = word + (uint256(position) << shift);
        }
    }

    /// @dev As `_move`, within what the participant consented to for a net cycle.
    function _moveByConsent(uint256 id, int256 position) internal {
        uint256 index = SettlementWord.index(id);
        uint256 shift = SettlementWord.shift(id);
        uint256 word = _words[index];
        unchecked {
            uint256 half = word >> shift;
            if (!half.isInStanding()) revert ParticipantNotInStanding(id);
            if (position < 0) {
                _requireConsent(id, half.netDebitCap(), uint256(-position));
                _requireFunds(id, half.balance(), uint256(-position));
            }
            _words[index] = word + (uint256(position) << shift);
        }
    }

    function _describe(uint256 id) internal view returns (Participant memory found) {
        uint256 half = _half(id);
        found.balance = uint72(half.balance());
        found.netDebitCap = uint56(half.netDebitCap());
        found.isInStanding = half.isInStanding();
    }

    // ------------------------------------------------------------------------------------------------ rules

    function _isInStanding(uint16 id) private view returns (bool) {
        (address institution,,) = currency.participant(id);
        return currency.account(institution).flags & STATUS_MASK == IN_GOOD_STANDING;
    }

    function _setStanding(uint16 id, bool isInStanding) private {
        uint256 half = _half(id);
        if (half.isInStanding() == isInStanding) return;
        _writeHalf(id, half.withStanding(isInStanding));
        emit StandingChanged(id, isInStanding);
    }

    function _requireFunds(uint256 id, uint256 held, uint256 amount) private pure {
        if (amount > held) revert InsufficientFunds(id, held, amount);
    }

    function _requireConsent(uint256 id, uint256 cap, uint256 debit) private pure {
        if (debit > cap && cap != SettlementWord.CAP_MASK) revert NetDebitCapExceeded(id, debit, cap);
    }

    function _half(uint256 id) private view returns (uint256) {
        return (_words[SettlementWord.index(id)] >> SettlementWord.shift(id)) & type(uint128).max;
    }

    function _writeHalf(uint256 id, uint256 half) private {
        uint256 shift = SettlementWord.shift(id);
        uint256 other = _words[SettlementWord.index(id)] & (uint256(type(uint128).max) << (128 - shift));
        _words[SettlementWord.index(id)] = other | (half << shift);
    }
}
