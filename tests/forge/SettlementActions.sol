// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ISettlement} from "../../contracts/src/interfaces/ISettlement.sol";
import {SettlementWatch} from "./SettlementWatch.sol";
import {VM} from "./Vm.sol";

/// @title What anybody can do to a settlement
/// @notice forge calls these functions in random order with random seeds. Each tells the model what was done.
contract SettlementActions is SettlementWatch {
    uint256 private constant MOST = 60;
    /// @dev Mostly more than there is: so payments wait for one another.
    uint256 private constant MOST_PAID = 200;

    // ------------------------------------------------------------------------------------------------ money

    function deposit(uint256 bank, uint256 amount) external step {
        uint16 id = _id(bank);
        uint64 paid = uint64(amount % MOST);
        bool isExpected = paid != 0 && _canMove(id) && currency.balanceOf(banks[id]) >= paid;
        if (_count(_settle(banks[id], abi.encodeCall(settlement.deposit, (paid)), isExpected))) {
            funds[id] += int256(uint256(paid));
        }
    }

    function withdraw(uint256 bank, uint256 amount) external step {
        uint16 id = _id(bank);
        uint64 paid = uint64(amount % MOST);
        bool isExpected = paid != 0 && _canMove(id) && funds[id] >= int256(uint256(paid));
        if (_count(_settle(banks[id], abi.encodeCall(settlement.withdraw, (paid)), isExpected))) {
            funds[id] -= int256(uint256(paid));
        }
    }

    function _canMove(uint16 id) private view returns (bool) {
        return isInStanding[id] && !isPaused;
    }

    function setNetDebitCap(uint256 bank, uint256 seed) external step {
        uint16 id = _id(bank);
        uint64[5] memory choices = [0, 20, 40, NO_CAP, NO_CAP + 1];
        uint64 cap = choices[seed % 5];
        bool isExpected = cap <= NO_CAP && isInStanding[id];
        if (_count(_settle(banks[id], abi.encodeCall(settlement.setNetDebitCap, (cap)), isExpected))) caps[id] = cap;
    }

    // ------------------------------------------------------------------------------------------------ payments

    function submit(uint256 seed) external step {
        _count(_submitSome(seed));
    }

    /// @dev What the rules allow most of; often with what was just submitted.
    function resolve(uint256 seed) external step {
        if (seed % 4 != 0) _submitSome(seed >> 8);
        bytes32[] memory found = _findSubset();
        if (found.length != 0) _count(_resolve(found));
    }

    /// @dev Some one or two that were ever accepted, and nothing; whatever the rules say of them.
    function resolveAnything(uint256 seed) external step {
        if (seed % 16 == 0) _resolve(new bytes32[](0));
        bytes32[] memory chosen = new bytes32[](1 + seed % 2);
        for (uint256 i; i < chosen.length; ++i) {
            chosen[i] = _someIn(ISettlement.PaymentState.QUEUED, seed >> (32 * i));
        }
        _count(_resolve(chosen));
    }

    /// @dev A right proposal that was spoiled: one more, who is not waiting, is there twice, or has to wait.
    function resolveWrongly(uint256 seed) external step {
        bytes32[] memory right = _findSubset();
        bytes32[] memory wrong = new bytes32[](right.length + 1);
        uint256 place = (seed >> 8) % wrong.length;
        for (uint256 i; i < right.length; ++i) {
            wrong[i < place ? i : i + 1] = right[i];
        }
        wrong[place] = _unfit(seed % 6, right, seed >> 16);
        if (wrong[place] == 0) return;
        if (_resolve(wrong)) _break("a wrong proposal is refused");
        _count(true);
    }

    /// @return What keeps a proposal from being right.
    function _unfit(uint256 kind, bytes32[] memory right, uint256 seed) private view returns (bytes32) {
        if (kind == 0) return bytes32(uint256(_id(seed)) << 240 | type(uint128).max); // nobody knows it
        if (kind == 1) return right.length == 0 ? bytes32(0) : right[seed % right.length];
        if (kind == 2) return _someIn(ISettlement.PaymentState.HELD, seed);
        if (kind == 3) return _someIn(ISettlement.PaymentState.SETTLED, seed);
        if (kind == 4) return _someIn(ISettlement.PaymentState.EXPIRED, seed);
        return _someIn(ISettlement.PaymentState.CANCELLED, seed);
    }

    function _resolve(bytes32[] memory ids) private returns (bool isDone) {
        bool isExpected = _isResolvable(ids);
        // anybody proposes
        isDone = _settle(attacker, abi.encodeCall(settlement.resolve, (ids)), isExpected);
        if (!isDone) return false;
        for (uint256 i; i < ids.length; ++i) {
            _become(ids[i], ISettlement.PaymentState.SETTLED);
        }
    }

    /// @dev Two to four; one in eight is not what it should be.
    function _submitSome(uint256 seed) private returns (bool isDone) {
        uint256 count = 2 + seed % 3;
        for (uint256 i; i < count && open.length < LONGEST_QUEUE; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint16 payer = _id(seed >> 8);
            ISettlement.Payment memory sent = ISettlement.Payment({
                amount: uint64(1 + (seed >> 16) % MOST_PAID),
                expiry: (seed >> 24) % 3 == 0 ? uint64(clock + 50) : type(uint64).max,
                payer: payer,
                payee: _idBeside(payer, seed >> 32),
                priority: uint8((seed >> 40) % 3),
                state: ISettlement.PaymentState.NONE
            });
            bytes32 id = _newPaymentId(payer);
            if ((seed >> 48) % 8 == 0) id = _spoil(id, sent, seed >> 56);
            if (_submit(id, sent)) isDone = true;
        }
    }

    function _spoil(bytes32 id, ISettlement.Payment memory sent, uint256 seed) private view returns (bytes32) {
        uint256 kind = seed % 7;
        if (kind == 0) sent.amount = 0;
        else if (kind == 1) sent.payee = sent.payer;
        else if (kind == 2) sent.priority = 3;
        else if (kind == 3) sent.expiry = uint64(clock);
        else if (kind == 4) sent.payee = UNKNOWN;
        else if (kind == 5) return _newPaymentIdOf(_idBeside(sent.payer, seed >> 8));
        else return _ownOf(sent.payer, seed >> 8);
        return id;
    }

    function _newPaymentIdOf(uint16 other) private pure returns (bytes32) {
        return bytes32(uint256(other) << 240 | type(uint64).max);
    }

    /// @return id One that the payer used already, if there is one.
    function _ownOf(uint16 payer, uint256 seed) private view returns (bytes32 id) {
        for (uint256 i; i < ended.length && i < LONGEST_QUEUE; ++i) {
            id = ended[(seed % ended.length + i) % ended.length];
            if (model[id].payer == payer) return id;
        }
    }

    function _submit(bytes32 id, ISettlement.Payment memory sent) private returns (bool isDone) {
        ISettlement.PaymentState outcome = _outcomeOf(id, sent);
        bytes memory call =
            abi.encodeCall(settlement.submit, (id, sent.payee, sent.amount, sent.priority, sent.expiry));
        isDone = _settle(banks[sent.payer], call, outcome != ISettlement.PaymentState.NONE);
        if (!isDone || outcome == ISettlement.PaymentState.NONE) return isDone;
        model[id] = sent;
        if (outcome == ISettlement.PaymentState.QUEUED) open.push(id);
        _become(id, outcome);
    }

    // ------------------------------------------------------------------------------------------------ what waits

    function hold(uint256 which, uint256 who) external step {
        bytes32 id = _mostly(ISettlement.PaymentState.QUEUED, which);
        bool isRight = model[id].state == ISettlement.PaymentState.QUEUED;
        if (_asPayer(id, who, abi.encodeCall(settlement.hold, (id)), isRight)) {
            _become(id, ISettlement.PaymentState.HELD);
        }
    }

    function resume(uint256 which, uint256 who) external step {
        bytes32 id = _mostly(ISettlement.PaymentState.HELD, which);
        bool isRight = model[id].state == ISettlement.PaymentState.HELD && clock < model[id].expiry;
        if (_asPayer(id, who, abi.encodeCall(settlement.resume, (id)), isRight)) {
            _become(id, ISettlement.PaymentState.QUEUED);
        }
    }

    function reprioritise(uint256 which, uint256 who, uint256 priority) external step {
        bytes32 id = _mostly(ISettlement.PaymentState.QUEUED, which);
        uint8 next = uint8(priority % 4);
        if (_asPayer(id, who, abi.encodeCall(settlement.reprioritise, (id, next)), _isWaiting(id) && next <= 2)) {
            model[id].priority = next;
        }
    }

    function cancel(uint256 which, uint256 who) external step {
        bytes32 id = _mostly(ISettlement.PaymentState.QUEUED, which);
        if (_asPayer(id, who, abi.encodeCall(settlement.cancel, (id)), _isWaiting(id))) {
            _become(id, ISettlement.PaymentState.CANCELLED);
        }
    }

    /// @dev Of a state, but for one of six.
    function _mostly(ISettlement.PaymentState state, uint256 seed) private view returns (bytes32) {
        return _someIn(seed % 6 == 0 ? ISettlement.PaymentState((seed >> 8) % 6) : state, seed >> 16);
    }

    /// @dev Seldom as another participant, or as nobody.
    function _asPayer(bytes32 id, uint256 who, bytes memory call, bool isRight) private returns (bool) {
        uint16 payer = model[id].payer == 0 ? 1 : model[id].payer;
        if (who % 32 == 0) payer = _idBeside(payer, who >> 8);
        address sender = who % 32 == 1 ? attacker : banks[payer];
        bool isExpected = isRight && sender == banks[model[id].payer] && isInStanding[model[id].payer];
        return _count(_settle(sender, call, isExpected));
    }

    /// @dev All whose time has passed; seldom one more. What they made wait can be paid at once then.
    function expire(uint256 seed) external step {
        bytes32[] memory ids = new bytes32[](open.length + 1);
        uint256 count;
        for (uint256 i; i < open.length; ++i) {
            if (clock >= model[open[i]].expiry) ids[count++] = open[i];
        }
        uint256 right = count;
        if (seed % 4 == 0) ids[count++] = _someIn(ISettlement.PaymentState((seed >> 8) % 6), seed >> 16);
        _shorten(ids, count);
        // the one more is there twice, or it is none of those
        bool isDone = _settle(attacker, abi.encodeCall(settlement.expire, (ids)), right == count);
        if (!isDone || count == 0) return;
        for (uint256 i; i < count; ++i) {
            _become(ids[i], ISettlement.PaymentState.EXPIRED);
        }
        for (uint16 id = 1; id <= BANKS; ++id) {
            _count(_payWhatIsFree(model[ids[seed % count]].payer, id));
        }
    }

    /// @return isDone Whether a payer of whom nothing waits any more paid all that it has at once.
    function _payWhatIsFree(uint16 payer, uint16 payee) private returns (bool isDone) {
        if (_waiting(payer, 0) != 0 || funds[payer] == 0 || payer == payee) return false;
        if (!_canMove(payer) || !isInStanding[payee]) return false;
        bytes32 id = _newPaymentId(payer);
        ISettlement.Payment memory sent;
        (sent.amount, sent.expiry) = (uint64(uint256(funds[payer])), type(uint64).max);
        (sent.payer, sent.payee) = (payer, payee);
        isDone = _submit(id, sent);
        if (settlement.payment(id).state != ISettlement.PaymentState.SETTLED) {
            _break("what an expired payment kept waiting is free again");
        }
    }

    // ------------------------------------------------------------------------------------------------ cycles

    struct Cycle {
        uint64 number;
        int256[BANKS + 2] net;
        bool[BANKS + 2] isListed;
        bytes participants;
        bytes payments;
        bytes positions;
    }

    function settleNet(uint256 seed) external step {
        Cycle memory cycle = _cycle(seed);
        bytes memory call = abi.encodeCall(settlement.settleNet, (cycle.number, bytes32(seed), cycle.positions));
        _count(_settleCycle(cycle, call, _isConsented(cycle.net, cycle.isListed)));
    }

    function settleGross(uint256 seed) external step {
        Cycle memory cycle = _cycle(seed);
        bytes memory call =
            abi.encodeCall(settlement.settleGross, (cycle.number, cycle.participants, cycle.payments));
        _count(_settleCycle(cycle, call, _isConsented(cycle.net, cycle.isListed)));
    }

    /// @dev A cycle that was spoiled: what is no cycle is refused, whatever its positions are.
    function settleWrongly(uint256 seed) external step {
        Cycle memory cycle = _cycle(seed >> 8);
        address sender = OPERATOR;
        bytes memory call;
        uint256 kind = seed % 8;
        if (kind == 0) cycle.number += 1;
        else if (kind == 1) cycle.number -= 1;
        else if (kind == 2) cycle.positions = abi.encodePacked(_id(seed >> 16), int80(1)); // from nobody
        else if (kind == 3) cycle.positions = bytes.concat(cycle.positions, cycle.positions);
        else if (kind == 4) _shortenBytes(cycle.positions);
        else if (kind == 5) cycle.positions = bytes.concat(cycle.positions, abi.encodePacked(UNKNOWN, uint80(0)));
        else if (kind == 6) sender = banks[_id(seed >> 16)];
        else cycle.payments[9] = bytes1(uint8(cycle.participants.length / 2)); // nobody's place
        if (kind == 7) {
            call = abi.encodeCall(settlement.settleGross, (cycle.number, cycle.participants, cycle.payments));
        } else {
            call = abi.encodeCall(settlement.settleNet, (cycle.number, bytes32(seed), cycle.positions));
        }
        if (_settle(sender, call, false)) _break("a wrong cycle is refused");
        _count(true);
    }

    function _settleCycle(Cycle memory cycle, bytes memory call, bool isExpected) private returns (bool isDone) {
        isDone = _settle(OPERATOR, call, isExpected);
        if (!isDone) return false;
        cycles = cycle.number;
        for (uint16 id = 1; id <= BANKS; ++id) {
            funds[id] += cycle.net[id];
        }
    }

    /// @dev Two to five of the participants, up to six payments among them.
    function _cycle(uint256 seed) private view returns (Cycle memory cycle) {
        cycle.number = cycles + 1;
        uint16[] memory listed = new uint16[](BANKS);
        uint256 count;
        uint256 skipped = (seed % 4) * (1 + (seed >> 8) % BANKS); // often nobody
        for (uint16 id = 1; id <= BANKS; ++id) {
            if (id == skipped || id + BANKS == skipped || id + 2 * BANKS == skipped) continue;
            listed[count++] = id;
            cycle.isListed[id] = true;
            cycle.participants = abi.encodePacked(cycle.participants, id);
        }
        uint256 payments = 1 + (seed >> 16) % 6;
        for (uint256 i; i < payments; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            _pay(cycle, seed % count, (seed >> 8) % count, uint64((seed >> 16) % (MOST / 3)), listed);
        }
        for (uint256 i; i < count; ++i) {
            cycle.positions = abi.encodePacked(cycle.positions, listed[i], int80(cycle.net[listed[i]]));
        }
    }

    function _pay(Cycle memory cycle, uint256 payer, uint256 payee, uint64 amount, uint16[] memory listed)
        private
        pure
    {
        cycle.payments = abi.encodePacked(cycle.payments, amount, uint8(payer), uint8(payee));
        cycle.net[listed[payer]] -= int256(uint256(amount));
        cycle.net[listed[payee]] += int256(uint256(amount));
    }

    function _shortenBytes(bytes memory data) private pure {
        assembly ("memory-safe") {
            mstore(data, sub(mload(data), 1))
        }
    }

    // ------------------------------------------------------------------------------------------------ standing

    /// @dev Rarely, as all that takes a participant or everybody out.
    function suspendParticipant(uint256 bank) external step {
        if (bank % 8 != 0) return;
        _count(_change(SUPERVISOR, abi.encodeCall(currency.suspendParticipant, (_id(bank / 8)))));
    }

    function reinstateParticipant(uint256 bank) external step {
        for (uint16 id = 1; id <= BANKS; ++id) {
            bytes memory call = abi.encodeCall(currency.reinstateParticipant, (_id(bank % BANKS + id)));
            if (!isInStanding[_id(bank % BANKS + id)] && _count(_change(SUPERVISOR, call))) return;
        }
    }

    function freeze(uint256 bank) external step {
        if (bank % 8 != 0) return;
        _count(_change(AUTHORITY, abi.encodeCall(currency.freeze, (ORDER, banks[_id(bank / 8)]))));
    }

    function unfreeze(uint256 bank) external step {
        for (uint16 id = 1; id <= BANKS; ++id) {
            bytes memory call = abi.encodeCall(currency.unfreeze, (ORDER, banks[_id(bank % BANKS + id)]));
            if (!isInStanding[_id(bank % BANKS + id)] && _count(_change(AUTHORITY, call))) return;
        }
    }

    /// @dev Another account becomes a participant's institution: what the settlement owes, it owes the participant.
    function replaceInstitution(uint256 bank) external step {
        if (bank % 8 != 0) return;
        uint16 id = _id(bank / 8);
        address former = banks[id];
        address next = former == _spare(id) ? _firstBank(id) : _spare(id);
        bytes memory call = abi.encodeCall(currency.setParticipant, (id, next, INSTITUTIONS_TIER, GRANTED_TIERS));
        if (!_count(_change(GOVERNOR, call))) return;
        _settle(former, abi.encodeCall(settlement.withdraw, (1)), false);
        _send(next, abi.encodeCall(currency.mint, (FUNDS)));
    }

    /// @dev Mostly running: seven of eight pauses end at once.
    function pause(uint256 seed) external step {
        _count(_change(PAUSER, abi.encodeCall(currency.pause, ())));
        _resolve(_findSubset());
        if (seed % 8 != 0) _change(PAUSER, abi.encodeCall(currency.unpause, ()));
    }

    function unpause() external step {
        _count(_change(PAUSER, abi.encodeCall(currency.unpause, ())));
    }

    function _change(address sender, bytes memory call) private returns (bool isDone) {
        isDone = _send(sender, call);
        if (!isDone) return false;
        _readCurrency();
        for (uint16 id = 1; id <= BANKS; ++id) {
            if (settlement.participant(id).isInStanding != isInStanding[id]) _break("standing is the currency's to say");
        }
    }

    // ------------------------------------------------------------------------------------------------ others

    function wait(uint256 time) external step {
        clock += 1 + time % 60;
        VM.warp(clock);
        _count(true);
    }

    /// @dev Nobody who is no participant moves money here, and nobody pays the settlement but by a deposit.
    function attack(uint256 which, uint256 bank) external step {
        uint16 id = _id(bank);
        bytes[5] memory calls = [
            abi.encodeCall(settlement.deposit, (1)),
            abi.encodeCall(settlement.withdraw, (1)),
            abi.encodeCall(settlement.setNetDebitCap, (NO_CAP)),
            abi.encodeCall(settlement.submit, (bytes32(uint256(id) << 240 | 1 << 200), id, 1, 0, type(uint64).max)),
            abi.encodeCall(settlement.settleNet, (cycles + 1, bytes32(0), abi.encodePacked(id, uint80(0))))
        ];
        _settle(attacker, calls[which % calls.length], false);
        bool isTaken = _send(
            AUTHORITY, abi.encodeCall(currency.forceTransfer, (ORDER, address(settlement), banks[id], 1))
        );
        bool isGiven = _send(banks[id], abi.encodeCall(IERC20.transfer, (address(settlement), 1)));
        if (isTaken || isGiven) _break("the settlement holds what participants deposited");
        _count(true);
    }
}
