// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {AccountWord} from "./AccountWord.sol";
import {DigitalCurrencyStorage, digitalCurrencyStorage} from "./DigitalCurrencyStorage.sol";
import {domainSeparator} from "./TypedData.sol";
import {IAdministration} from "./interfaces/IAdministration.sol";
import {IAuthorizations} from "./interfaces/IAuthorizations.sol";
import {IPayments} from "./interfaces/IPayments.sol";

/// @title What both halves of the currency ask before they act
abstract contract Standing {
    using AccountWord for uint256;

    modifier whenNotPaused() {
        _requireNotPaused();
        _;
    }

    function _requireNotPaused() internal view {
        if (digitalCurrencyStorage().paused) revert IPayments.CurrencyPaused();
    }

    /// @return word Of the caller, an institution in good standing.
    function _requireParticipant() internal view returns (uint256 word) {
        word = digitalCurrencyStorage().accounts[msg.sender];
        if (!word.has(AccountWord.INSTITUTION)) revert IPayments.NotAParticipant(msg.sender);
        if (word.has(AccountWord.SUSPENDED)) revert IPayments.ParticipantSuspended(word.participant());
        if (word.has(AccountWord.FROZEN | AccountWord.CLOSED)) revert IPayments.ParticipantFrozen(word.participant());
    }

    /// @return What no order holds of a balance.
    function _available(address owner, uint256 word) internal view returns (uint256) {
        uint256 held = digitalCurrencyStorage().restrictions[owner].held;
        return word.balance() > held ? word.balance() - held : 0;
    }

    /// @dev Writes an account's membership and flags, and tells of them.
    function _writeMembership(address owner, uint256 word) internal {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        if ((word | $.accounts[owner]).has(AccountWord.INSTITUTION)) $.standingEpoch += 1;
        $.accounts[owner] = word;
        emit IAdministration.AccountRegistered(
            owner, uint16(word.participant()), uint8(word.tier()), uint24(word.flags())
        );
    }

    /// @dev The account's key is asked first: most signers have no code, and looking for it costs as much as a slot.
    function _requireSignature(address signer, bytes32 digest, bytes memory signature) internal view {
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecover(digest, signature);
        if (failure == ECDSA.RecoverError.NoError && recovered == signer) return;
        _requireContract(signer, digest, signature);
    }

    /// @dev ERC-1271.
    function _requireContract(address signer, bytes32 digest, bytes memory signature) internal view {
        if (!SignatureChecker.isValidERC1271SignatureNow(signer, digest, signature)) {
            revert IAuthorizations.InvalidSignature(signer);
        }
    }

    /// @return EIP-712 §domainSeparator, on this chain and of the proxy.
    function _domainSeparator() internal view returns (bytes32) {
        return domainSeparator(_nameHash());
    }

    function _nameHash() internal view virtual returns (bytes32) {
        return digitalCurrencyStorage().nameHash;
    }
}
