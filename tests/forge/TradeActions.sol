// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {ITrades} from "../../contracts/src/interfaces/ITrades.sol";
import {Rules} from "./Rules.sol";
import {ForeignCurrency, Rehearsal, Security} from "./TradeWorld.sol";
import {VM} from "./Vm.sol";
import {World} from "./World.sol";

/// @title What anybody can do with trades of the currency, another currency and a security
/// @notice forge calls these functions in random order with random seeds. A trade moves all of its legs, or nothing
/// moves; and it does so just when every payer affirmed it, it is neither over nor too late, and each leg would arrive.
contract TradeActions is World, Rules {
    uint256 private constant PARTIES = 6; // two banks and four customers
    uint256 private constant TOKENS = 3;
    uint256 private constant MOST_OPEN = 6;

    /// @dev What the model knows of a trade. `affirmed` is by person.
    struct Expected {
        ITrades.TradeState state;
        uint64 expiry;
        uint256 affirmed;
        uint256 payers;
        uint256 parties;
    }

    ITrades private trades;
    Security private security;
    Rehearsal private rehearsal;
    address[TOKENS] private tokens;
    uint256 private clock = 1_760_000_000;
    uint256 private salt;

    mapping(bytes32 tradeId => Expected) private model;
    mapping(bytes32 tradeId => ITrades.Leg[]) private legsOf;
    bytes32[] private open;
    bytes32[] private ended;
    /// @dev Of token and party, after the last step.
    uint256[PARTIES][TOKENS] private held;
    string private surprise;

    constructor() {
        trades = ITrades(VM.deployCode("Trades.sol:Trades"));
        security = new Security();
        rehearsal = new Rehearsal();
        tokens = [address(currency), address(new ForeignCurrency().token()), address(security)];
        for (uint256 i; i < PARTIES; ++i) {
            security.issue(people[i], 100_000);
            for (uint256 j; j < TOKENS; ++j) {
                VM.prank(people[i]);
                IERC20(tokens[j]).approve(address(trades), type(uint256).max);
            }
        }
        held = _balances();
    }

    // ------------------------------------------------------------------------------------------------ watching

    modifier step() {
        VM.warp(clock);
        _;
        if (bytes(surprise).length != 0) _break(surprise);
        uint256[PARTIES][TOKENS] memory present = _balances();
        if (keccak256(abi.encode(present)) != keccak256(abi.encode(held))) {
            _break("a trade moves all of its legs, and nothing else moves");
        }
        for (uint256 i; i < open.length; ++i) {
            _compare(open[i]);
        }
        // all of them in turn: what ended has ended for ever
        if (ended.length != 0) _compare(ended[salt % ended.length]);
        for (uint256 i; i < TOKENS; ++i) {
            if (IERC20(tokens[i]).balanceOf(address(trades)) != 0) _break("the contract holds nothing");
        }
    }

    function _balances() private view returns (uint256[PARTIES][TOKENS] memory found) {
        for (uint256 i; i < TOKENS; ++i) {
            for (uint256 j; j < PARTIES; ++j) {
                found[i][j] = IERC20(tokens[i]).balanceOf(people[j]);
            }
        }
    }

    function _compare(bytes32 id) private {
        ITrades.Trade memory found = trades.trade(id);
        Expected memory expected = model[id];
        if (found.state != expected.state) _break("a trade is in the state that it was brought to");
        if (keccak256(abi.encode(found.legs)) != keccak256(abi.encode(legsOf[id])) || found.expiry != expected.expiry) {
            _break("a trade stays what it was proposed as");
        }
        uint256 affirmed;
        for (uint256 i; i < found.legs.length; ++i) {
            if ((found.affirmed >> i) & 1 != 0) affirmed |= _bit(found.legs[i].payer);
        }
        if (affirmed != expected.affirmed) _break("an affirmation is its payer's");
    }

    /// @dev Whether it is done must be just what the model says.
    function _trade(address sender, bytes memory data, bool isExpected) private returns (bool isDone) {
        bytes memory answer;
        VM.prank(sender);
        (isDone, answer) = address(trades).call(data);
        if (!isDone) ++refusals[bytes4(answer)];
        if (isDone && !isExpected) surprise = "what the rules forbid is refused";
        if (!isDone && isExpected) surprise = "what the rules allow is done";
    }

    /// @return One bit for each party; none for others.
    function _bit(address person) private view returns (uint256) {
        for (uint256 i; i < PARTIES; ++i) {
            if (people[i] == person) return 1 << i;
        }
        return 0;
    }

    function _end(bytes32 id, ITrades.TradeState state) private {
        model[id].state = state;
        ended.push(id);
        for (uint256 i; i < open.length; ++i) {
            if (open[i] != id) continue;
            open[i] = open[open.length - 1];
            open.pop();
            return;
        }
    }

    // ------------------------------------------------------------------------------------------------ choosing

    function _party(uint256 seed) private view returns (address) {
        return people[seed % PARTIES];
    }

    /// @return Mostly an open one; zero if there is none.
    function _which(uint256 seed) private view returns (bytes32) {
        bytes32[] storage among = seed % 16 == 0 ? ended : open;
        return among.length == 0 ? bytes32(0) : among[(seed >> 8) % among.length];
    }

    /// @return Mostly one of those in `bits`.
    function _who(uint256 bits, uint256 seed) private view returns (address) {
        if (seed % 16 == 0) return attacker;
        for (uint256 i; i < PARTIES; ++i) {
            uint256 place = (seed % PARTIES + i) % PARTIES;
            if ((bits >> place) & 1 != 0 || seed % 16 == 1) return people[place];
        }
        return people[0];
    }

    // ------------------------------------------------------------------------------------------------ parties

    /// @dev Delivery or payment versus payment between two, or a ring of three; one in eight is spoiled.
    function propose(uint256 seed) external step {
        if (open.length >= MOST_OPEN) return;
        uint256 count = 2 + (seed >> 8) % 2;
        ITrades.Leg[] memory legs = new ITrades.Leg[](count);
        for (uint256 i; i < count; ++i) {
            address payee = _party((seed >> 16) + (i + 1) % count);
            uint256 amount = 1 + (seed >> (64 + 16 * i)) % 3_000;
            legs[i] = ITrades.Leg(tokens[((seed >> 32) + i) % TOKENS], _party((seed >> 16) + i), payee, amount);
        }
        address sender = legs[(seed >> 40) % count].payer;
        uint64 expiry = uint64(clock + 100 + (seed >> 48) % 2_000);
        if (seed % 8 != 0) {
            bytes32 id = _propose(sender, legs, expiry, ++salt, true);
            _count(id != 0);
            // the same again is no second trade
            if ((seed >> 3) % 8 == 0) _propose(sender, legs, expiry, salt, false);
            return;
        }
        uint256 kind = (seed >> 3) % 6;
        if (kind == 0) legs[0].amount = 0;
        else if (kind == 1) legs[0].payee = legs[0].payer;
        else if (kind == 2) legs[1].payee = address(trades);
        else if (kind == 3) expiry = uint64(clock);
        else if (kind == 4) sender = attacker;
        else legs = new ITrades.Leg[](seed % 16 == 0 ? 0 : 17);
        _propose(sender, legs, expiry, ++salt, false);
    }

    function _propose(address sender, ITrades.Leg[] memory legs, uint64 expiry, uint256 salt_, bool isExpected)
        private
        returns (bytes32 id)
    {
        if (!_trade(sender, abi.encodeCall(trades.proposeTrade, (legs, expiry, bytes32(salt_))), isExpected)) return 0;
        id = trades.tradeIdOf(sender, legs, expiry, bytes32(salt_));
        Expected storage created = model[id];
        created.state = ITrades.TradeState.OPEN;
        created.expiry = expiry;
        for (uint256 i; i < legs.length; ++i) {
            legsOf[id].push(legs[i]);
            created.payers |= _bit(legs[i].payer);
            created.parties |= _bit(legs[i].payer) | _bit(legs[i].payee);
        }
        open.push(id);
    }

    function affirm(uint256 which, uint256 who) external step {
        bytes32 id = _which(which);
        _count(_affirm(id, _who(model[id].payers, who)));
    }

    function _affirm(bytes32 id, address sender) private returns (bool isDone) {
        bool isExpected = _isLive(id) && model[id].payers & _bit(sender) != 0;
        isDone = _trade(sender, abi.encodeCall(trades.affirm, (id)), isExpected);
        if (isDone) model[id].affirmed |= _bit(sender);
    }

    /// @dev Often after all payers affirmed it.
    function execute(uint256 which, uint256 who) external step {
        bytes32 id = _which(which);
        for (uint256 i; who % 4 != 0 && i < PARTIES; ++i) {
            if ((model[id].payers >> i) & 1 != 0) _affirm(id, people[i]);
        }
        if (!_count(_execute(id, _who(model[id].parties, who >> 8)))) return;
        if (_execute(id, _who(model[id].parties, who >> 8))) _break("a trade executes once");
    }

    function _execute(bytes32 id, address sender) private returns (bool isDone) {
        bool isAgreed = model[id].affirmed == model[id].payers && model[id].parties & _bit(sender) != 0;
        bool isExpected = _isLive(id) && isAgreed && _wouldArrive(legsOf[id]);
        isDone = _trade(sender, abi.encodeCall(trades.executeTrade, (id)), isExpected);
        if (!isDone) return false;
        _end(id, ITrades.TradeState.EXECUTED);
        for (uint256 i; i < legsOf[id].length; ++i) {
            _expectMoved(legsOf[id][i]);
        }
    }

    /// @dev Of those that can still be executed, few.
    function cancel(uint256 which, uint256 who) external step {
        bytes32 id = _which(which >> 2);
        if (which % 4 != 0 && clock < model[id].expiry) return;
        address sender = _who(model[id].parties, who);
        bool isExpected = model[id].state == ITrades.TradeState.OPEN && model[id].parties & _bit(sender) != 0;
        if (_count(_trade(sender, abi.encodeCall(trades.cancelTrade, (id)), isExpected))) {
            _end(id, ITrades.TradeState.CANCELLED);
        }
    }

    /// @dev Often all that is needed.
    function approve(uint256 token, uint256 owner, uint256 amount) external step {
        uint256 allowed = amount % 3 == 0 ? amount % 3_000 : type(uint256).max;
        VM.prank(_party(owner));
        (bool isDone,) =
            tokens[token % TOKENS].call(abi.encodeCall(IERC20.approve, (address(trades), allowed)));
        _count(isDone);
    }

    function _isLive(bytes32 id) private view returns (bool) {
        return model[id].state == ITrades.TradeState.OPEN && clock < model[id].expiry;
    }

    function _wouldArrive(ITrades.Leg[] memory legs) private returns (bool isWhole) {
        (, bytes memory answer) =
            address(rehearsal).call(abi.encodeCall(rehearsal.rehearse, (address(trades), legs)));
        assembly ("memory-safe") {
            isWhole := mload(add(answer, 36))
        }
    }

    function _expectMoved(ITrades.Leg memory leg) private {
        for (uint256 i; i < TOKENS; ++i) {
            if (tokens[i] != leg.token) continue;
            for (uint256 j; j < PARTIES; ++j) {
                if (people[j] == leg.payer) held[i][j] -= leg.amount;
                if (people[j] == leg.payee) held[i][j] += leg.amount;
            }
        }
    }

    // ------------------------------------------------------------------------------------------------ what stops a leg

    /// @dev A merchant's and a citizen's room: where it ends, a waterfall begins, and a leg does not arrive whole.
    function setTier(uint256 holding) external step {
        uint96 limit = holding % 2 == 0 ? 1_000_000 : 61_000;
        _count(_send(GOVERNOR, abi.encodeCall(currency.setTier, (RETAIL_TIER, limit, 50_000, type(uint64).max))));
    }

    function setFee(uint256 fee) external step {
        security.setFee(fee % 8 == 0 ? 1 : 0);
        _count(fee % 8 == 0);
    }

    function pause(uint256 seed) external step {
        if (seed % 8 == 0) _count(_send(PAUSER, abi.encodeCall(currency.pause, ())));
    }

    function unpause() external step {
        _count(_send(PAUSER, abi.encodeCall(currency.unpause, ())));
    }

    function freeze(uint256 person) external step {
        if (person % 8 == 0) _count(_send(AUTHORITY, abi.encodeCall(currency.freeze, (ORDER, _party(person / 8)))));
    }

    function unfreeze(uint256 person) external step {
        for (uint256 i; i < PARTIES; ++i) {
            if (_count(_send(AUTHORITY, abi.encodeCall(currency.unfreeze, (ORDER, _party(person % PARTIES + i)))))) return;
        }
    }

    function wait(uint256 time) external step {
        clock += 1 + time % 300;
        _count(true);
    }

    /// @dev Allowances for trades are everywhere: without its payer's affirmation none pays a thief.
    function attack(uint256 token, uint256 victim, uint256 amount) external step {
        ITrades.Leg[] memory legs = new ITrades.Leg[](2);
        legs[0] = ITrades.Leg(tokens[token % TOKENS], _party(victim), attacker, 1 + amount % 3_000);
        legs[1] = ITrades.Leg(tokens[2], attacker, _party(victim), 1);
        uint64 expiry = uint64(clock + 1);
        bytes32 id = trades.tradeIdOf(attacker, legs, expiry, bytes32(++salt));
        _trade(attacker, abi.encodeCall(trades.proposeTrade, (legs, expiry, bytes32(salt))), true);
        _trade(attacker, abi.encodeCall(trades.affirm, (id)), true);
        if (_trade(attacker, abi.encodeCall(trades.executeTrade, (id)), false)) _break("money moves by its owner's word");
        _count(true);
    }
}
