// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {AccountWord} from "../../contracts/src/AccountWord.sol";
import {IPayments} from "../../contracts/src/interfaces/IPayments.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Rules} from "./Rules.sol";
import {Vm, VM} from "./Vm.sol";
import {World} from "./World.sol";

/// @title What must hold after each step, whoever made it
/// @notice Every action carries the modifier `step`. A broken rule is remembered by its name; the invariant fails on it.
abstract contract Watch is World, Rules {
    using AccountWord for uint256;

    uint256 internal clock = 1_760_000_000;
    /// @dev True while a step acts under an order, which may take money from a frozen wallet.
    bool internal isUnderOrder;

    /// @dev The words of `people` after the last step, and so before this one.
    uint256[] private words;
    /// @dev What a diligent observer holds, from Transfer events alone.
    mapping(address person => uint256) private observed;
    mapping(bytes32 payerAndNonce => bool) private executed;

    constructor() {
        _follow(VM.getRecordedLogs());
        words = currency.accountWords(people);
    }

    modifier step() {
        VM.warp(clock);
        _;
        _follow(VM.getRecordedLogs());
        uint256[] memory before = words;
        uint256[] memory present = currency.accountWords(people);
        uint256 sum;
        for (uint256 i; i < PEOPLE; ++i) {
            sum += present[i].balance();
            if (present[i].balance() != observed[people[i]]) _break("the events tell every balance");
            if (present[i] == before[i]) continue;
            _compare(before[i], present[i]);
            words[i] = present[i];
        }
        _weigh(sum);
        isUnderOrder = false;
    }

    function _compare(uint256 before, uint256 present) private {
        uint256 held = present.balance();
        bool isInstitution = present.has(AccountWord.INSTITUTION);
        if (present.nonce() < before.nonce()) _break("nonces only grow");
        if (held > before.balance() && !isInstitution && !isUnderOrder && held > _holdingLimit(present)) {
            _break("no holder is paid above its tier");
        }
        if (before.has(AccountWord.FROZEN) && held < before.balance() && !isUnderOrder) {
            _break("a frozen wallet never loses money but under an order");
        }
        if (before.has(AccountWord.SUSPENDED) && held != before.balance() && !isUnderOrder) {
            _break("a suspended participant changes no balance");
        }
        if (held != 0 && !present.has(AccountWord.REGISTERED)) _break("only registered accounts hold money");
    }

    function _weigh(uint256 sum) private {
        uint256 open;
        uint256 supply = currency.totalSupply();
        for (uint16 id = 1; id <= PARTICIPANTS; ++id) {
            open += currency.mintAllowance(id);
        }
        if (sum != supply) _break("the balances add up to the supply");
        if (supply > approved) _break("the supply is at most what was approved");
        if (minted + open != approved) _break("what was approved is minted or still open");
        if (supply != minted - burned) _break("the supply is what was minted less what was burned");
    }

    function _follow(Vm.Log[] memory seen) private {
        for (uint256 i; i < seen.length; ++i) {
            if (seen[i].emitter != address(currency) || seen[i].topics[0] != IERC20.Transfer.selector) continue;
            uint256 amount = abi.decode(seen[i].data, (uint256));
            address payer = address(uint160(uint256(seen[i].topics[1])));
            address payee = address(uint160(uint256(seen[i].topics[2])));
            unchecked {
                if (payer != address(0)) observed[payer] -= amount;
                if (payee != address(0)) observed[payee] += amount;
            }
        }
    }

    /// @dev Settles, and holds the records that were executed against those that ever were. `payers[i]` is zero for a
    /// record that nobody signed.
    function _settle(address sender, bytes memory records, uint64 validBefore, address[] memory payers)
        internal
        returns (bool isDone)
    {
        _follow(VM.getRecordedLogs());
        isDone = _send(sender, abi.encodeCall(IPayments.settle, (records, validBefore)));
        if (!isDone) return false;
        Vm.Log[] memory seen = VM.getRecordedLogs();
        _follow(seen);
        bytes memory bitmap = new bytes((payers.length + 7) / 8);
        for (uint256 i; i < seen.length; ++i) {
            if (seen[i].topics[0] != IPayments.Skipped.selector) continue;
            (bitmap,) = abi.decode(seen[i].data, (bytes, bytes));
        }
        uint256 size = records.length / payers.length;
        for (uint256 i; i < payers.length; ++i) {
            if (uint8(bitmap[i / 8]) & (1 << (i % 8)) != 0) continue;
            uint32 nonce;
            assembly ("memory-safe") {
                nonce := and(shr(24, mload(add(add(records, 32), mul(i, size)))), 0xffffffff)
            }
            _execute(payers[i], nonce);
        }
    }

    function _execute(address payer, uint32 nonce) private {
        bytes32 key = keccak256(abi.encode(payer, nonce));
        if (payer == address(0)) _break("what nobody signed is never executed");
        if (executed[key]) _break("one nonce executes at most once");
        executed[key] = true;
    }
}
