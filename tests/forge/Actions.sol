// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {IAdministration} from "../../contracts/src/interfaces/IAdministration.sol";
import {IDelayedUpgrade} from "../../contracts/src/interfaces/IDelayedUpgrade.sol";
import {VM} from "./Vm.sol";
import {Watch} from "./Watch.sol";

/// @title What anybody can do to the currency
/// @notice forge calls these functions in random order with random seeds. A new call of the token is a new function
/// here: choose who and what from the seeds, `_send` it, and `_count` whether it was done; `step` checks the rest.
contract Actions is Watch {
    struct Batch {
        bytes records;
        uint64 validBefore;
        address[] payers;
    }

    uint256 private constant MOST_RECORDS = 6;
    bytes32 private constant FAN_OUT_TYPEHASH = keccak256("FanOut(bytes payments,uint256 nonce,uint256 validBefore)");
    bytes32 private constant MOVE_TYPEHASH = keccak256(
        "AccountMove(address owner,uint256 participant,uint256 tier,uint256 flags,uint256 nonce,uint256 validBefore)"
    );
    bytes32 private constant TRANSFER_TYPEHASH = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant IMPLEMENTATION_SLOT = 0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc;
    bytes32 private constant DELAYED_UPGRADE_SLOT = 0xdd25c3f20a0e04edff47beec828f1a555e933bb67c83d292f1bd81481bb8d900;

    Batch[] private past;


    // ------------------------------------------------------------------------------------------------ holders

    function transfer(uint256 payer, uint256 payee, uint256 amount) external step {
        _count(_send(_person(payer), abi.encodeCall(currency.transfer, (_person(payee), _amount(amount)))));
    }

    function approve(uint256 owner, uint256 spender, uint256 amount) external step {
        uint256 allowed = amount % 7 == 0 ? type(uint256).max : _amount(amount);
        _count(_send(_person(owner), abi.encodeCall(currency.approve, (_person(spender), allowed))));
    }

    function transferFrom(uint256 spender, uint256 payer, uint256 payee, uint256 amount) external step {
        uint256 allowed = currency.allowance(_person(payer), _person(spender));
        uint256 paid = _amount(amount);
        bytes memory call = abi.encodeCall(currency.transferFrom, (_person(payer), _person(payee), paid));
        if (_count(_send(_person(spender), call)) && paid > allowed) _break("allowances are kept");
    }

    // ------------------------------------------------------------------------------------------------ banks

    function mint(uint256 bank, uint256 amount) external step {
        uint256 created = _amount(amount);
        if (_count(_send(_institution(bank), abi.encodeCall(currency.mint, (created))))) minted += created;
    }

    function burn(uint256 bank, uint256 amount) external step {
        uint256 destroyed = _amount(amount);
        bytes memory call = abi.encodeCall(currency.burn, (destroyed));
        if (_count(_send(_institution(bank), call))) burned += destroyed;
    }

    function register(uint256 bank, uint256 customer, uint256 tier, uint256 isLinked) external step {
        address[] memory accounts = new address[](1);
        accounts[0] = _person(customer);
        uint24 flags = isLinked % 2 == 0 ? LINKED : 0;
        bytes memory call = abi.encodeCall(currency.register, (accounts, uint8(tier % 4), flags));
        _count(_send(_institution(bank), call));
    }

    function settle(uint256 bank, uint256 seed) external step {
        _settleNew(_institution(bank), 1 + seed % MOST_RECORDS, seed, uint64(clock + 1 + seed % 1 days));
    }

    /// @dev All that was ever sent is sent again, by either bank.
    function replay(uint256 bank, uint256 which) external step {
        if (past.length == 0) return;
        Batch storage batch = past[which % past.length];
        _count(_settle(_institution(bank), batch.records, batch.validBefore, batch.payers));
    }

    function _settleNew(address sender, uint256 count, uint256 seed, uint64 validBefore) private {
        bytes memory records;
        address[] memory payers = new address[](count);
        for (uint256 i; i < count; ++i) {
            uint256 chance = uint256(keccak256(abi.encode(seed, i)));
            address payer = _person(chance);
            uint256 nonce = currency.account(payer).nonce + (chance >> 16) % 3;
            bytes memory record = _sign(payer, _person(chance >> 32), _amount(chance >> 64), nonce, validBefore);
            bool isForged = (chance >> 24) % 8 == 0;
            if (isForged) record[20 + (chance >> 128) % 73] ^= 0x01;
            payers[i] = isForged ? address(0) : payer;
            records = bytes.concat(records, record);
        }
        if (!_count(_settle(sender, records, validBefore, payers))) return;
        past.push(Batch({records: records, validBefore: validBefore, payers: payers}));
    }

    /// @dev A group of two payers, and a record flat behind it.
    function settleGrouped(uint256 bank, uint256 seed) external step {
        uint64 validBefore = uint64(clock + 1 + seed % 1 days);
        address payee = _person(seed >> 16);
        bytes memory group = abi.encodePacked(payee, uint16(2));
        for (uint256 i; i < 2; ++i) {
            group = bytes.concat(group, _tail(_next(_person(seed >> (24 + 8 * i)), payee, seed >> (64 * i), validBefore)));
        }
        bytes memory flat = _next(_person(seed >> 48), _person(seed >> 56), seed >> 64, validBefore);
        bytes memory groups = bytes.concat(group, new bytes(22), flat);
        _count(_send(_institution(bank), abi.encodeCall(currency.settleGrouped, (groups, validBefore))));
    }

    function settleFanOut(uint256 bank, uint256 seed) external step {
        uint64 validBefore = uint64(clock + 1 + seed % 1 days);
        address payer = _person(seed >> 16);
        bytes memory payments;
        for (uint256 i; i < 3; ++i) {
            uint40 amount = uint40(_amount(seed >> (32 + 16 * i)));
            payments = abi.encodePacked(payments, _person(seed >> (24 + 8 * i)), amount);
        }
        uint32 nonce = currency.account(payer).nonce;
        (bytes32 r, bytes32 vs) =
            _signCompactly(payer, keccak256(abi.encode(FAN_OUT_TYPEHASH, keccak256(payments), nonce, validBefore)));
        bytes memory call = abi.encodeCall(currency.settleFanOut, (payments, nonce, validBefore, r, vs));
        if (!_count(_send(_institution(bank), call))) return;
        if (_send(_institution(bank), call)) _break("one nonce executes at most once");
    }

    /// @dev A bank takes over an account whose owner signed the move.
    function moveAccount(uint256 bank, uint256 owner, uint256 nonce) external step {
        address moved = _person(owner);
        IAdministration.Move memory to = IAdministration.Move({
            owner: moved,
            tier: RETAIL_TIER,
            flags: LINKED,
            nonce: uint32(currency.account(moved).nonce + nonce % 3),
            validBefore: uint64(clock + 1)
        });
        bytes32 content = keccak256(
            abi.encode(MOVE_TYPEHASH, moved, uint256(_participant(bank)), to.tier, to.flags, to.nonce, to.validBefore)
        );
        (uint8 v, bytes32 r, bytes32 s) = _signParts(moved, content);
        bytes memory call = abi.encodeCall(currency.moveAccount, (to, abi.encodePacked(r, s, v)));
        _count(_send(_institution(bank), call));
    }

    /// @dev EIP-3009, submitted by anybody, twice.
    function transferWithAuthorization(uint256 payer, uint256 payee, uint256 amount) external step {
        address from = _person(payer);
        bytes32 nonce = keccak256(abi.encode(payer, payee, amount));
        bytes memory call;
        {
            bytes32 content = keccak256(
                abi.encode(TRANSFER_TYPEHASH, from, _person(payee), _amount(amount), 0, clock + 1, nonce)
            );
            (uint8 v, bytes32 r, bytes32 s) = _signParts(from, content);
            call = abi.encodeWithSignature(
                "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
                from, _person(payee), _amount(amount), 0, clock + 1, nonce, v, r, s
            );
        }
        if (!_count(_send(attacker, call))) return;
        if (_send(attacker, call)) _break("one authorisation executes at most once");
    }

    function _next(address payer, address payee, uint256 seed, uint64 validBefore) private view returns (bytes memory) {
        return _sign(payer, payee, _amount(seed), currency.account(payer).nonce, validBefore);
    }

    /// @dev A flat record without its payee.
    function _tail(bytes memory record) private pure returns (bytes memory tail) {
        tail = new bytes(record.length - 20);
        for (uint256 i; i < tail.length; ++i) {
            tail[i] = record[i + 20];
        }
    }

    // ------------------------------------------------------------------------------------------------ central bank

    function setTier(uint256 tier, uint256 holding, uint256 perPayment, uint256 daily) external step {
        uint96 limit = uint96(holding % 150_000);
        uint64 most = uint64(perPayment % 60_000);
        uint8 changed = RETAIL_TIER + uint8(tier % 2);
        bytes memory call = abi.encodeCall(currency.setTier, (changed, limit, most, uint64(daily % 200_000)));
        if (_count(_send(GOVERNOR, call)) && most > limit) _break("no payment is above the holding limit");
    }

    /// @dev Rarely: what a bank was, another account becomes.
    function setParticipant(uint256 id, uint256 institution) external step {
        if (institution % 8 != 0) return;
        bytes memory call = abi.encodeCall(
            currency.setParticipant, (_participant(id), _person(institution / 8), INSTITUTIONS_TIER, GRANTED_TIERS)
        );
        _count(_send(GOVERNOR, call));
    }

    function increaseMintAllowance(uint256 id, uint256 amount) external step {
        uint256 given = _amount(amount);
        bytes memory call = abi.encodeCall(currency.increaseMintAllowance, (_participant(id), given));
        if (_count(_send(ISSUER, call))) approved += given;
    }

    function decreaseMintAllowance(uint256 id, uint256 amount) external step {
        uint256 taken = _amount(amount);
        bytes memory call = abi.encodeCall(currency.decreaseMintAllowance, (_participant(id), taken));
        if (_count(_send(ISSUER, call))) approved -= taken;
    }

    /// @dev Mostly running: two of three pauses end at once.
    function pause(uint256 seed) external step {
        _count(_send(PAUSER, abi.encodeCall(currency.pause, ())));
        if (_send(_person(seed), abi.encodeCall(currency.transfer, (_person(seed / PEOPLE), 1)))) {
            _break("nothing is paid while the currency is paused");
        }
        if (seed % 3 != 0) _send(PAUSER, abi.encodeCall(currency.unpause, ()));
    }

    function unpause() external step {
        _count(_send(PAUSER, abi.encodeCall(currency.unpause, ())));
    }

    /// @dev Rarely.
    function suspendParticipant(uint256 id) external step {
        if (id % 8 != 0) return;
        _count(_send(SUPERVISOR, abi.encodeCall(currency.suspendParticipant, (_participant(id / 8)))));
    }

    function reinstateParticipant(uint256 id) external step {
        _count(_send(SUPERVISOR, abi.encodeCall(currency.reinstateParticipant, (_participant(id)))));
    }

    // ------------------------------------------------------------------------------------------------ under an order

    /// @dev Rarely.
    function freeze(uint256 person) external step {
        if (person % 4 != 0) return;
        _count(_send(AUTHORITY, abi.encodeCall(currency.freeze, (ORDER, _person(person / 4)))));
    }

    function unfreeze(uint256 person) external step {
        _count(_send(AUTHORITY, abi.encodeCall(currency.unfreeze, (ORDER, _person(person)))));
    }

    function hold(uint256 person, uint256 amount) external step {
        _count(_send(AUTHORITY, abi.encodeCall(currency.hold, (ORDER, _person(person), uint96(_amount(amount))))));
    }

    function release(uint256 person, uint256 amount) external step {
        _count(_send(AUTHORITY, abi.encodeCall(currency.release, (ORDER, _person(person), uint96(_amount(amount))))));
    }

    function forceTransfer(uint256 payer, uint256 payee, uint256 amount) external step {
        isUnderOrder = true;
        bytes memory call = abi.encodeCall(
            currency.forceTransfer, (ORDER, _person(payer), _person(payee), uint96(_amount(amount)))
        );
        _count(_send(AUTHORITY, call));
    }

    function upgrade(uint256 seed) external step {
        if (seed % 16 != 0) return;
        address implementation = _deployImplementation();
        if (!_send(UPGRADER, abi.encodeCall(IDelayedUpgrade.proposeUpgrade, (implementation, "")))) return;
        bytes memory call = abi.encodeCall(UUPSUpgradeable.upgradeToAndCall, (implementation, ""));
        if (_send(UPGRADER, call)) _break("an upgrade waits for its delay");
        clock += UPGRADE_DELAY;
        VM.warp(clock);
        VM.record();
        if (!_count(_send(UPGRADER, call))) _break("an upgrade can be made after its delay");
        (, bytes32[] memory writes) = VM.accesses(address(currency));
        for (uint256 i; i < writes.length; ++i) {
            bool isDelay = writes[i] == DELAYED_UPGRADE_SLOT || writes[i] == bytes32(uint256(DELAYED_UPGRADE_SLOT) + 1);
            if (writes[i] != IMPLEMENTATION_SLOT && !isDelay) _break("an upgrade keeps every slot");
        }
    }

    // ------------------------------------------------------------------------------------------------ others

    function wait(uint256 time) external step {
        clock += time % 30 hours;
        _count(true);
    }

    /// @dev Somebody without a role or a bank tries what only those may.
    function attack(uint256 which, uint256 victim, uint256 amount) external step {
        address[] memory accounts = new address[](1);
        accounts[0] = _person(victim);
        bytes[18] memory calls = [
            abi.encodeCall(currency.setTier, (RETAIL_TIER, type(uint96).max, 0, 0)),
            abi.encodeCall(currency.setParticipant, (1, attacker, INSTITUTIONS_TIER, GRANTED_TIERS)),
            abi.encodeCall(currency.increaseMintAllowance, (1, _amount(amount))),
            abi.encodeCall(currency.decreaseMintAllowance, (1, _amount(amount))),
            abi.encodeCall(currency.mint, (_amount(amount))),
            abi.encodeCall(currency.burn, (_amount(amount))),
            abi.encodeCall(currency.register, (accounts, RETAIL_TIER, LINKED)),
            abi.encodeCall(currency.pause, ()),
            abi.encodeCall(currency.unpause, ()),
            abi.encodeCall(currency.setSystemAccount, (attacker, RETAIL_TIER)),
            abi.encodeCall(currency.suspendParticipant, (1)),
            abi.encodeCall(currency.reinstateParticipant, (1)),
            abi.encodeCall(currency.registerOrder, (bytes32(which), attacker, 1, type(uint64).max)),
            abi.encodeCall(currency.freeze, (ORDER, _person(victim))),
            abi.encodeCall(currency.hold, (ORDER, _person(victim), 1)),
            abi.encodeCall(currency.forceTransfer, (ORDER, _person(victim), attacker, 1)),
            abi.encodeCall(IDelayedUpgrade.proposeUpgrade, (address(this), "")),
            abi.encodeCall(UUPSUpgradeable.upgradeToAndCall, (address(this), ""))
        ];
        // the governor may have made a bank of the attacker's account
        if (attacker == _institution(0) || attacker == _institution(1)) return;
        if (_send(attacker, calls[which % calls.length])) _break("powers are their holders' alone");
        uint256 left = _word(_person(victim));
        uint256 allowed = currency.allowance(_person(victim), attacker);
        bytes memory theft = abi.encodeCall(currency.transferFrom, (_person(victim), attacker, 1 + _amount(amount)));
        if (allowed == 0 && _send(attacker, theft)) _break("money moves by its owner's word alone");
        if (allowed == 0 && _word(_person(victim)) != left) _break("a refused attack changes nothing");
        _count(true);
    }
}
