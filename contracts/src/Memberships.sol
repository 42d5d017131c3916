// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {AccountWord} from "./AccountWord.sol";
import {DigitalCurrencyStorage, digitalCurrencyStorage} from "./DigitalCurrencyStorage.sol";
import {GOVERNOR, RoleChecks, SUPERVISOR} from "./Roles.sol";
import {Standing} from "./Standing.sol";
import {IAdministration} from "./interfaces/IAdministration.sol";
import {IAuthorizations} from "./interfaces/IAuthorizations.sol";
import {IPayments} from "./interfaces/IPayments.sol";

/// @title Who belongs where
/// @notice Nothing here touches a balance.
abstract contract Memberships is IAdministration, RoleChecks, Standing {
    using AccountWord for uint256;

    bytes32 private constant MOVE_TYPEHASH = keccak256(
        "AccountMove(address owner,uint256 participant,uint256 tier,uint256 flags,uint256 nonce,uint256 validBefore)"
    );

    function setParticipant(uint16 id, address institution, uint8 tier_, uint256 tierMask)
        external
        onlyRole(GOVERNOR)
    {
        if (id == 0) revert UnknownParticipant(id);
        if (institution == address(0)) revert IPayments.ZeroAddress();
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        _requireDefined($, tier_);
        uint256 word = _requireChangeable($, institution, id);
        address previous = $.participants[id].institution;
        if (previous != address(0) && previous != institution) _retire($, previous, id);

        $.participants[id].institution = institution;
        $.participants[id].tierMask = tierMask;
        word = word.withMembership(id, tier_) | AccountWord.REGISTERED | AccountWord.INSTITUTION;
        _writeMembership(institution, word);
        emit ParticipantSet(id, institution, tier_, tierMask);
    }

    function setSystemAccount(address owner, uint8 tier_) external onlyRole(GOVERNOR) {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        if (owner == address(0)) revert IPayments.ZeroAddress();
        _requireDefined($, tier_);
        uint256 word = $.accounts[owner];
        if (word != 0 && !word.has(AccountWord.SYSTEM)) revert AccountNotChangeable(owner);

        _writeMembership(owner, word.withMembership(0, tier_) | AccountWord.REGISTERED | AccountWord.SYSTEM);
    }

    function suspendParticipant(uint16 id) external onlyRole(SUPERVISOR) {
        (address institution, uint256 word) = _institution(id);
        if (word.has(AccountWord.SUSPENDED)) revert IPayments.ParticipantSuspended(id);

        _writeMembership(institution, word | AccountWord.SUSPENDED);
        emit ParticipantStandingChanged(id, true);
    }

    function reinstateParticipant(uint16 id) external onlyRole(SUPERVISOR) {
        (address institution, uint256 word) = _institution(id);
        if (!word.has(AccountWord.SUSPENDED)) revert ParticipantNotSuspended(id);

        _writeMembership(institution, word & ~AccountWord.SUSPENDED);
        emit ParticipantStandingChanged(id, false);
    }

    function register(address[] calldata owners, uint8 tier_, uint24 flags) external {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        uint256 id = _requireParticipant().participant();
        uint256 linked = _requireGranted($, id, tier_, flags);

        for (uint256 i; i < owners.length; ++i) {
            address owner = owners[i];
            if (owner == address(0)) revert IPayments.ZeroAddress();
            uint256 word = _requireChangeable($, owner, id);
            if (word.has(AccountWord.INSTITUTION)) revert AccountNotChangeable(owner);
            word = word.withMembership(id, tier_) & ~AccountWord.LINKED;
            _writeMembership(owner, word | linked | AccountWord.REGISTERED);
        }
    }

    function moveAccount(Move calldata to, bytes calldata signature) external {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        uint256 id = _requireParticipant().participant();
        uint256 linked = _requireGranted($, id, to.tier, to.flags);
        uint256 word = $.accounts[to.owner];
        uint256 former = word.participant();
        if (block.timestamp >= to.validBefore) {
            revert IAuthorizations.AuthorizationExpired(to.validBefore, block.timestamp);
        }
        if (former == 0) revert IPayments.PayerNotRegistered(to.owner);
        if (former == id) revert AccountOfAnotherParticipant(to.owner, former);
        if (word.has(AccountWord.INSTITUTION | AccountWord.PAYER_REFUSED)) {
            revert AccountNotChangeable(to.owner);
        }
        if (to.nonce < word.nonce() || to.nonce == type(uint32).max) {
            revert IPayments.NonceUsed(to.owner, to.nonce, word.nonce());
        }
        bytes32 content =
            keccak256(abi.encode(MOVE_TYPEHASH, to.owner, id, to.tier, to.flags, to.nonce, to.validBefore));
        bytes32 digest = MessageHashUtils.toTypedDataHash(_domainSeparator(), content);
        _requireSignature(to.owner, digest, signature);

        word = word.withMembership(id, to.tier).withNonce(uint256(to.nonce) + 1) & ~AccountWord.LINKED;
        _writeMembership(to.owner, word | linked);
        emit AccountMoved(to.owner, uint16(former), uint16(id));
    }

    // ------------------------------------------------------------------------------------------------ inside

    /// @dev Only a tier that was set carries the mark of a pause, which a batch asks its caller's tier for.
    function _requireDefined(DigitalCurrencyStorage storage $, uint8 tier_) private view {
        if (($.definedTiers >> tier_) & 1 == 0) revert TierNotSet(tier_);
    }

    /// @return linked The flag LINKED, if it is among the flags.
    function _requireGranted(DigitalCurrencyStorage storage $, uint256 id, uint8 tier_, uint24 flags)
        private
        view
        returns (uint256 linked)
    {
        if (($.participants[id].tierMask >> tier_) & 1 == 0) revert TierNotGranted(id, tier_);
        linked = uint256(flags) << 232;
        if (linked & ~AccountWord.LINKED != 0) revert FlagsNotGranted(flags);
    }

    /// @dev The word of an account that is new, or that already belongs to participant `id`.
    function _requireChangeable(DigitalCurrencyStorage storage $, address owner, uint256 id)
        private
        view
        returns (uint256 word)
    {
        word = $.accounts[owner];
        if (word == 0) return word;
        if (word.has(AccountWord.SYSTEM | AccountWord.CLOSED)) revert AccountNotChangeable(owner);
        if (word.participant() != id) revert AccountOfAnotherParticipant(owner, word.participant());
    }

    /// @dev An institution that is suspended, or that an order freezes or holds, is not replaced: what it has in
    /// settlement would come free.
    function _retire(DigitalCurrencyStorage storage $, address institution, uint256 id) private {
        uint256 word = $.accounts[institution];
        if (word.has(AccountWord.SUSPENDED)) revert IPayments.ParticipantSuspended(id);
        if (word.has(AccountWord.FROZEN | AccountWord.HAS_HOLD)) revert AccountNotChangeable(institution);
        _writeMembership(institution, word & ~AccountWord.INSTITUTION);
    }

    function _institution(uint16 id)
        private
        view
        returns (address institution, uint256 word)
    {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        institution = $.participants[id].institution;
        if (institution == address(0)) revert UnknownParticipant(id);
        word = $.accounts[institution];
    }
}
