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

    uint256 private constant STATUS_MASK = (AccountWord.STATUS_MASK | AccountWord.INSTITUTION) >> 232;
    uint256 private constant SYSTEM = AccountWord.SYSTEM >> 232;
    uint256 private constant IN_GOOD_STANDING = (AccountWord.REGISTERED | AccountWord.INSTITUTION) >> 232;

    IDigitalCurrency public immutable currency;

    mapping(uint256 index => uint256 word) private _words;

    constructor(address currency_) {
        if (currency_.code.length == 0) revert CurrencyWithoutCode(currency_);
        currency = IDigitalCurrency(currency_);
    }

    function deposit(uint64 amount) external {
        uint16 id = _requireCaller();
        if (amount == 0) revert ZeroAmount();
        if (currency.account(address(this)).flags & SYSTEM == 0) revert NotASystemAccount(address(this));
        uint256 total = currency.balanceOf(address(this)) + amount;
        if (total > SettlementWord.BALANCE_MASK) revert SettlementBalanceExceeded(total, SettlementWord.BALANCE_MASK);

        _move(id, int256(uint256(amount)));
        emit Deposited(id, amount);
        currency.safeTransferFrom(msg.sender, address(this), amount);
    }

    function withdraw(uint64 amount) external {
        uint16 id = _requireCaller();
        if (amount == 0) revert ZeroAmount();

        _move(id, -int256(uint256(amount)));
        emit Withdrawn(id, amount);
        currency.safeTransfer(msg.sender, amount);
    }

    function setNetDebitCap(uint64 netDebitCap) external {
        uint16 id = _requireCaller();
        if (netDebitCap > SettlementWord.CAP_MASK) revert NetDebitCapTooLarge(netDebitCap, SettlementWord.CAP_MASK);

        _writeHalf(id, _half(id).withNetDebitCap(netDebitCap));
        emit NetDebitCapSet(id, netDebitCap);
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

    /// @return The currency's standing epoch, as `_moveByConsent` takes it.
    function _epoch() internal view returns (uint256) {
        return SettlementWord.epochOf(currency.standingEpoch());
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

    /// @dev As `_move`, within what the participant consented to for a net cycle. It is looked up in the currency only if
    /// the last cycle that did so was before `epoch`; until that changes, so cannot its standing.
    function _moveByConsent(uint16 id, int256 position, uint256 epoch) internal {
        uint256 index = SettlementWord.index(id);
        uint256 shift = SettlementWord.shift(id);
        uint256 word = _words[index];
        unchecked {
            uint256 half = word >> shift;
            if (half.epoch() != epoch) _requireInStanding(id);
            if (position < 0) {
                _requireConsent(id, half.netDebitCap(), uint256(-position));
                _requireFunds(id, half.balance(), uint256(-position));
            }
            uint256 moved = half.withEpoch(epoch) + uint256(position);
            _words[index] = word + ((moved - half) << shift);
        }
    }

    function _describe(uint16 id) internal view returns (Participant memory found) {
        uint256 half = _half(id);
        found.balance = uint64(half.balance());
        found.netDebitCap = uint64(half.netDebitCap());
        found.isInStanding = _isInStanding(id);
    }

    // ------------------------------------------------------------------------------------------------ rules

    function _isInStanding(uint16 id) private view returns (bool) {
        (address institution,,) = currency.participant(id);
        return currency.account(institution).flags & STATUS_MASK == IN_GOOD_STANDING;
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
