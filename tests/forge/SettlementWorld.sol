// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {AccountWord} from "../../contracts/src/AccountWord.sol";
import {ISettlement} from "../../contracts/src/interfaces/ISettlement.sol";
import {Rules} from "./Rules.sol";
import {VM} from "./Vm.sol";
import {World} from "./World.sol";

/// @title Five participants of the currency, their Settlement, and a naive model of it
/// @notice The model is told what was done and never asks the settlement. It knows the currency by asking the currency.
abstract contract SettlementWorld is World, Rules {
    address internal constant OPERATOR = address(0xB1);
    /// @dev 1 is alone in its slot, 2 and 3 share one, as do 4 and 5. There is no 6.
    uint16 internal constant BANKS = 5;
    uint16 internal constant UNKNOWN = 6;
    uint64 internal constant NO_CAP = (1 << 47) - 1;
    uint256 internal constant FUNDS = 100;
    uint24 private constant STANDING =
        uint24((AccountWord.STATUS_MASK | AccountWord.INSTITUTION) >> 232);
    uint24 private constant IN_GOOD_STANDING =
        uint24((AccountWord.REGISTERED | AccountWord.INSTITUTION) >> 232);

    ISettlement internal settlement;
    uint256 internal clock = 1_760_000_000;

    /// @dev So that a step is quick: a queue that is full takes nothing new.
    uint256 internal constant LONGEST_QUEUE = 16;

    // ------------------------------------------------------------------------------------------------ the model

    int256[BANKS + 2] internal funds;
    uint64[BANKS + 2] internal caps;
    uint64 internal cycles;
    mapping(bytes32 paymentId => ISettlement.Payment) internal model;
    /// @dev Queued or held; and what was, or never had to wait.
    bytes32[] internal open;
    bytes32[] internal ended;
    uint256 private references;

    /// @dev What the currency said when it last changed.
    address[BANKS + 2] internal banks;
    bool[BANKS + 2] internal isInStanding;
    bool internal isPaused;

    /// @dev A set of payments, in memory: what it would leave of the funds and in the queue.
    struct Proposal {
        bytes32[] ids;
        ISettlement.Payment[] payments;
        int256[BANKS + 2] left;
        uint256[3][BANKS + 2] behind;
        /// @dev One more than the lowest priority that each pays, or zero.
        uint256[BANKS + 2] lowest;
    }

    constructor() {
        settlement =
            ISettlement(VM.deployCode("Settlement.sol:Settlement", abi.encode(address(currency), OPERATOR)));
        _order(GOVERNOR, abi.encodeCall(currency.setSystemAccount, (address(settlement), INSTITUTIONS_TIER)));
        for (uint16 id = 1; id <= BANKS; ++id) {
            if (id > PARTICIPANTS) {
                address bank = _firstBank(id);
                _order(GOVERNOR, abi.encodeCall(currency.setParticipant, (id, bank, INSTITUTIONS_TIER, GRANTED_TIERS)));
                _order(ISSUER, abi.encodeCall(currency.increaseMintAllowance, (id, 2 * OPENING_SUPPLY)));
                _order(bank, abi.encodeCall(currency.mint, (OPENING_SUPPLY)));
            }
            address first = _firstBank(id);
            _order(first, abi.encodeCall(currency.approve, (address(settlement), type(uint256).max)));
            _order(_spare(id), abi.encodeCall(currency.approve, (address(settlement), type(uint256).max)));
            VM.prank(first);
            settlement.deposit(uint64(FUNDS));
            VM.prank(first);
            settlement.setNetDebitCap(40);
            funds[id] = int256(FUNDS);
            caps[id] = 40;
        }
        _readCurrency();
    }

    function _order(address sender, bytes memory data) private {
        require(_send(sender, data), "the world cannot be set up");
    }

    // ------------------------------------------------------------------------------------------------ the currency

    function _readCurrency() internal {
        isPaused = currency.paused();
        for (uint16 id = 1; id <= BANKS; ++id) {
            (banks[id],,) = currency.participant(id);
            isInStanding[id] = currency.account(banks[id]).flags & STANDING == IN_GOOD_STANDING;
        }
    }

    function _firstBank(uint16 id) internal view returns (address) {
        if (id <= PARTICIPANTS) return people[id - 1];
        return id == BANKS ? people[11] : people[id + 5];
    }

    /// @return Who may follow a participant's institution, and be followed by it.
    function _spare(uint16 id) internal pure returns (address) {
        return address(uint160(0xB100) + id);
    }

    // ------------------------------------------------------------------------------------------------ choosing

    function _id(uint256 seed) internal pure returns (uint16) {
        return uint16(1 + seed % BANKS);
    }

    /// @dev A participant that is not `other`.
    function _idBeside(uint16 other, uint256 seed) internal pure returns (uint16) {
        return uint16(1 + (other + seed % (BANKS - 1)) % BANKS);
    }

    function _newPaymentId(uint16 payer) internal returns (bytes32) {
        return bytes32(uint256(payer) << 240 | ++references);
    }

    /// @return found The first payment of a state from a random place on, or zero.
    function _someIn(ISettlement.PaymentState state, uint256 seed) internal view returns (bytes32 found) {
        bool isOpen = state == ISettlement.PaymentState.QUEUED || state == ISettlement.PaymentState.HELD;
        bytes32[] storage among = isOpen ? open : ended;
        for (uint256 i; i < among.length && i < LONGEST_QUEUE; ++i) {
            found = among[(seed % among.length + i) % among.length];
            if (model[found].state == state) return found;
        }
        return bytes32(0);
    }

    // ------------------------------------------------------------------------------------------------ the model's steps

    /// @dev A payment's next state; the last ones are for ever.
    function _become(bytes32 id, ISettlement.PaymentState state) internal {
        ISettlement.Payment storage found = model[id];
        found.state = state;
        if (state == ISettlement.PaymentState.SETTLED) {
            funds[found.payer] -= int256(uint256(found.amount));
            funds[found.payee] += int256(uint256(found.amount));
        }
        if (_isWaiting(id)) return;
        for (uint256 i; i < open.length; ++i) {
            if (open[i] != id) continue;
            open[i] = open[open.length - 1];
            open.pop();
            break;
        }
        ended.push(id);
    }

    // ------------------------------------------------------------------------------------------------ the rules, naively

    function _isWaiting(bytes32 id) internal view returns (bool) {
        ISettlement.PaymentState state = model[id].state;
        return state == ISettlement.PaymentState.QUEUED || state == ISettlement.PaymentState.HELD;
    }

    /// @return count How many payments of a payer wait unheld, of a priority or a higher one.
    function _waiting(uint16 payer, uint256 priority) internal view returns (uint256 count) {
        for (uint256 i; i < open.length; ++i) {
            ISettlement.Payment memory found = model[open[i]];
            bool isQueued = found.state == ISettlement.PaymentState.QUEUED;
            if (isQueued && found.payer == payer && found.priority >= priority) ++count;
        }
    }

    /// @return What the rules make of a new payment: NONE, if it is refused.
    function _outcomeOf(bytes32 id, ISettlement.Payment memory sent)
        internal
        view
        returns (ISettlement.PaymentState)
    {
        bool isWellFormed = uint16(bytes2(id)) == sent.payer && model[id].state == ISettlement.PaymentState.NONE
            && sent.amount != 0 && sent.payer != sent.payee && sent.priority <= 2 && clock < sent.expiry;
        bool isPossible = !isPaused && isInStanding[sent.payer] && isInStanding[sent.payee];
        if (!isWellFormed || !isPossible) return ISettlement.PaymentState.NONE;
        bool isFirst = _waiting(sent.payer, sent.priority) == 0;
        bool isAtOnce = isFirst && funds[sent.payer] >= int256(uint256(sent.amount));
        return isAtOnce ? ISettlement.PaymentState.SETTLED : ISettlement.PaymentState.QUEUED;
    }

    /// @return Whether the rules let these payments settle together.
    function _isResolvable(bytes32[] memory ids) internal view returns (bool) {
        if (ids.length == 0 || isPaused) return false;
        for (uint256 i; i < ids.length; ++i) {
            if (!_isReady(model[ids[i]])) return false;
            for (uint256 j; j < i; ++j) {
                if (ids[j] == ids[i]) return false;
            }
        }
        Proposal memory proposal = _propose(ids);
        for (uint16 id = 1; id <= BANKS; ++id) {
            if (!_isAcceptable(proposal, id)) return false;
        }
        return true;
    }

    function _isReady(ISettlement.Payment memory found) private view returns (bool) {
        bool isQueued = found.state == ISettlement.PaymentState.QUEUED && clock < found.expiry;
        return isQueued && isInStanding[found.payer] && isInStanding[found.payee];
    }

    function _propose(bytes32[] memory ids) private view returns (Proposal memory proposal) {
        proposal.ids = ids;
        proposal.left = funds;
        for (uint256 i; i < open.length; ++i) {
            ISettlement.Payment memory found = model[open[i]];
            if (found.state == ISettlement.PaymentState.QUEUED) ++proposal.behind[found.payer][found.priority];
        }
        proposal.payments = new ISettlement.Payment[](ids.length);
        for (uint256 i; i < ids.length; ++i) {
            ISettlement.Payment memory found = model[ids[i]];
            proposal.payments[i] = found;
            proposal.left[found.payer] -= int256(uint256(found.amount));
            proposal.left[found.payee] += int256(uint256(found.amount));
            --proposal.behind[found.payer][found.priority];
        }
        _findLowest(proposal);
    }

    function _findLowest(Proposal memory proposal) private pure {
        delete proposal.lowest;
        for (uint256 i; i < proposal.payments.length; ++i) {
            ISettlement.Payment memory found = proposal.payments[i];
            uint256 lowest = proposal.lowest[found.payer];
            if (lowest == 0 || found.priority + 1 < lowest) proposal.lowest[found.payer] = found.priority + 1;
        }
    }

    function _isAcceptable(Proposal memory proposal, uint16 id) private pure returns (bool) {
        if (proposal.left[id] < 0) return false;
        uint256 lowest = proposal.lowest[id];
        if (lowest == 0) return true;
        for (uint256 priority = lowest; priority <= 2; ++priority) {
            if (proposal.behind[id][priority] != 0) return false;
        }
        return true;
    }

    /// @dev As a solver would: take all, and leave out until the rules allow it.
    function _findSubset() internal view returns (bytes32[] memory) {
        bytes32[] memory ready = new bytes32[](open.length);
        uint256 count;
        for (uint256 i; i < open.length; ++i) {
            if (_isReady(model[open[i]])) ready[count++] = open[i];
        }
        _shorten(ready, count);
        Proposal memory proposal = _propose(ready);
        uint16 id = 1;
        while (id <= BANKS) {
            if (_isAcceptable(proposal, id)) {
                ++id;
            } else {
                _leaveOut(proposal, _lowestOf(proposal, id));
                id = 1;
            }
        }
        return proposal.ids;
    }

    /// @return place Of a payer's largest payment of its lowest priority.
    function _lowestOf(Proposal memory proposal, uint16 payer) private pure returns (uint256 place) {
        uint256 least = type(uint256).max;
        for (uint256 i; i < proposal.payments.length; ++i) {
            ISettlement.Payment memory found = proposal.payments[i];
            uint256 weight = (uint256(found.priority) << 64) + type(uint64).max - found.amount;
            if (found.payer == payer && weight < least) (least, place) = (weight, i);
        }
    }

    function _leaveOut(Proposal memory proposal, uint256 place) private pure {
        ISettlement.Payment memory out = proposal.payments[place];
        proposal.left[out.payer] += int256(uint256(out.amount));
        proposal.left[out.payee] -= int256(uint256(out.amount));
        ++proposal.behind[out.payer][out.priority];
        uint256 last = proposal.ids.length - 1;
        proposal.ids[place] = proposal.ids[last];
        proposal.payments[place] = proposal.payments[last];
        _shorten(proposal.ids, last);
        ISettlement.Payment[] memory payments = proposal.payments;
        assembly ("memory-safe") {
            mstore(payments, last)
        }
        _findLowest(proposal);
    }

    function _shorten(bytes32[] memory ids, uint256 length) internal pure {
        assembly ("memory-safe") {
            mstore(ids, length)
        }
    }

    /// @return Whether the rules let a cycle move these positions, all of listed participants.
    function _isConsented(int256[BANKS + 2] memory net, bool[BANKS + 2] memory isListed) internal view returns (bool) {
        if (isPaused) return false;
        for (uint16 id = 1; id <= BANKS; ++id) {
            if (isListed[id] && !isInStanding[id]) return false;
            if (funds[id] + net[id] < 0) return false;
            if (net[id] < 0 && caps[id] != NO_CAP && -net[id] > int256(uint256(caps[id]))) return false;
        }
        return true;
    }
}
