// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {ITrades} from "./interfaces/ITrades.sol";

contract Trades is ITrades, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    uint256 public constant MAX_LEGS = 16;

    mapping(bytes32 tradeId => Trade) private _trades;

    // ------------------------------------------------------------------------------------------------ parties

    function proposeTrade(Leg[] calldata legs, uint64 expiry, bytes32 salt)
        external
        nonReentrant
        returns (bytes32 tradeId)
    {
        if (legs.length == 0 || legs.length > MAX_LEGS) revert LegCount(legs.length, MAX_LEGS);
        tradeId = tradeIdOf(msg.sender, legs, expiry, salt);
        Trade storage created = _trades[tradeId];
        if (created.state != TradeState.NONE) revert TradeExists(tradeId);
        _requireUnexpired(tradeId, expiry);

        for (uint256 i; i < legs.length; ++i) {
            _requireWellFormed(i, legs[i]);
            created.legs.push(legs[i]);
        }
        _requireParty(tradeId, created.legs);
        created.expiry = expiry;
        created.payers = _payersOf(legs);
        created.state = TradeState.OPEN;
        emit TradeProposed(tradeId, msg.sender, expiry, salt, legs);
    }

    function affirm(bytes32 tradeId) external nonReentrant {
        Trade storage found = _requireOpen(tradeId);
        _requireUnexpired(tradeId, found.expiry);
        uint256 first = _firstLegOf(tradeId, found.legs, msg.sender);

        found.affirmed |= uint16(1 << first);
        emit TradeAffirmed(tradeId, msg.sender);
    }

    function executeTrade(bytes32 tradeId) external nonReentrant {
        Trade storage found = _requireOpen(tradeId);
        _requireUnexpired(tradeId, found.expiry);
        _requireParty(tradeId, found.legs);
        _requireAffirmed(tradeId, found);

        found.state = TradeState.EXECUTED;
        uint256 count = found.legs.length;
        for (uint256 i; i < count; ++i) {
            _moveLeg(tradeId, i, found.legs[i]);
        }
        emit TradeExecuted(tradeId, msg.sender);
    }

    function cancelTrade(bytes32 tradeId) external nonReentrant {
        Trade storage found = _requireOpen(tradeId);
        _requireParty(tradeId, found.legs);

        found.state = TradeState.CANCELLED;
        emit TradeCancelled(tradeId, msg.sender);
    }

    // ------------------------------------------------------------------------------------------------ views

    function trade(bytes32 tradeId) external view returns (Trade memory) {
        return _trades[tradeId];
    }

    function tradeIdOf(address proposer, Leg[] calldata legs, uint64 expiry, bytes32 salt)
        public
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(block.chainid, address(this), proposer, legs, expiry, salt));
    }

    // ------------------------------------------------------------------------------------------------ legs

    function _moveLeg(bytes32 tradeId, uint256 index, Leg memory leg) private {
        IERC20 token = IERC20(leg.token);
        uint256 before = token.balanceOf(leg.payee);
        token.safeTransferFrom(leg.payer, leg.payee, leg.amount);
        uint256 held = token.balanceOf(leg.payee);
        uint256 received = held > before ? held - before : 0;
        if (received < leg.amount) revert LegShort(tradeId, index, leg.payee, received, leg.amount);
    }

    function _payersOf(Leg[] calldata legs) private pure returns (uint16 payers) {
        for (uint256 i; i < legs.length; ++i) {
            uint256 first;
            while (legs[first].payer != legs[i].payer) ++first;
            payers |= uint16(1 << first);
        }
    }

    function _firstLegOf(bytes32 tradeId, Leg[] storage legs, address payer) private view returns (uint256) {
        uint256 count = legs.length;
        for (uint256 i; i < count; ++i) {
            if (legs[i].payer == payer) return i;
        }
        revert NotAPayer(tradeId, payer);
    }

    // ------------------------------------------------------------------------------------------------ rules

    function _requireOpen(bytes32 tradeId) private view returns (Trade storage found) {
        found = _trades[tradeId];
        if (found.state != TradeState.OPEN) revert TradeNotOpen(tradeId, found.state);
    }

    function _requireUnexpired(bytes32 tradeId, uint64 expiry) private view {
        if (block.timestamp >= expiry) revert TradeExpired(tradeId, expiry, block.timestamp);
    }

    function _requireParty(bytes32 tradeId, Leg[] storage legs) private view {
        uint256 count = legs.length;
        for (uint256 i; i < count; ++i) {
            if (legs[i].payer == msg.sender || legs[i].payee == msg.sender) return;
        }
        revert NotAParty(tradeId, msg.sender);
    }

    function _requireAffirmed(bytes32 tradeId, Trade storage found) private view {
        uint256 missing = found.payers & ~found.affirmed;
        if (missing == 0) return;
        uint256 first;
        while ((missing >> first) & 1 == 0) ++first;
        revert NotAffirmed(tradeId, found.legs[first].payer);
    }

    function _requireWellFormed(uint256 index, Leg calldata leg) private view {
        bool isPlaced = leg.token.code.length != 0 && leg.payer != address(0) && leg.payee != address(0);
        bool isMoving = leg.amount != 0 && leg.payer != leg.payee;
        bool isStuck = leg.payee == address(this) || leg.payee == leg.token;
        if (isPlaced && isMoving && !isStuck) return;
        revert MalformedLeg(index, leg.token, leg.payer, leg.payee, leg.amount);
    }
}
