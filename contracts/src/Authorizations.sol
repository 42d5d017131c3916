// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {digitalCurrencyStorage, load, store} from "./DigitalCurrencyStorage.sol";
import {Payments} from "./Payments.sol";
import {hashOfArguments} from "./TypedData.sol";
import {IAuthorizations} from "./interfaces/IAuthorizations.sol";

/// @title Signed authorisations of the single path: ERC-2612 and EIP-3009
abstract contract Authorizations is IAuthorizations, Payments {
    bytes32 private constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 private constant TRANSFER_TYPEHASH = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant RECEIVE_TYPEHASH = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant CANCEL_TYPEHASH = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");

    // ------------------------------------------------------------------------------------------------ ERC-2612

    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
    {
        if (block.timestamp > deadline) revert PermitExpired(deadline, block.timestamp);
        uint256 nonce = digitalCurrencyStorage().permitNonces[owner]++;
        bytes32 content = keccak256(abi.encode(PERMIT_TYPEHASH, owner, spender, value, nonce, deadline));
        _requireSignature(owner, _digest(content), v, r, s);
        _approve(owner, spender, value);
    }

    function nonces(address owner) external view returns (uint256) {
        return digitalCurrencyStorage().permitNonces[owner];
    }

    // solhint-disable-next-line func-name-mixedcase
    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparator();
    }

    // ------------------------------------------------------------------------------------------------ EIP-3009

    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        bytes32 digest = _useTransfer(TRANSFER_TYPEHASH, from, validAfter, validBefore, nonce);
        _requireSignature(from, digest, v, r, s);
        _transfer(from, to, value);
    }

    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external {
        bytes32 digest = _useTransfer(TRANSFER_TYPEHASH, from, validAfter, validBefore, nonce);
        _requireSignature(from, digest, signature);
        _transfer(from, to, value);
    }

    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        if (msg.sender != to) revert CallerNotPayee(msg.sender, to);
        bytes32 digest = _useTransfer(RECEIVE_TYPEHASH, from, validAfter, validBefore, nonce);
        _requireSignature(from, digest, v, r, s);
        _transfer(from, to, value);
    }

    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external {
        if (msg.sender != to) revert CallerNotPayee(msg.sender, to);
        bytes32 digest = _useTransfer(RECEIVE_TYPEHASH, from, validAfter, validBefore, nonce);
        _requireSignature(from, digest, signature);
        _transfer(from, to, value);
    }

    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external {
        _requireSignature(authorizer, _useCancellation(authorizer, nonce), v, r, s);
    }

    function cancelAuthorization(address authorizer, bytes32 nonce, bytes memory signature) external {
        _requireSignature(authorizer, _useCancellation(authorizer, nonce), signature);
    }

    function authorizationState(address authorizer, bytes32 nonce) external view returns (bool) {
        return digitalCurrencyStorage().authorizations[authorizer][nonce] != 0;
    }

    // ------------------------------------------------------------------------------------------------ inside

    /// @return digest What the payer must have signed.
    function _useTransfer(bytes32 typehash, address from, uint256 validAfter, uint256 validBefore, bytes32 nonce)
        private
        returns (bytes32 digest)
    {
        if (block.timestamp <= validAfter) revert AuthorizationNotYetValid(validAfter, block.timestamp);
        if (block.timestamp >= validBefore) revert AuthorizationExpired(validBefore, block.timestamp);
        _useNonce(from, nonce);
        emit AuthorizationUsed(from, nonce);
        return _digest(hashOfArguments(typehash, 6));
    }

    /// @return digest What the authoriser must have signed.
    function _useCancellation(address authorizer, bytes32 nonce) private returns (bytes32 digest) {
        _useNonce(authorizer, nonce);
        emit AuthorizationCanceled(authorizer, nonce);
        return _digest(hashOfArguments(CANCEL_TYPEHASH, 2));
    }

    function _useNonce(address authorizer, bytes32 nonce) private {
        mapping(bytes32 => uint256) storage used = digitalCurrencyStorage().authorizations[authorizer];
        uint256 slot;
        assembly ("memory-safe") {
            mstore(0, nonce)
            mstore(0x20, used.slot)
            slot := keccak256(0, 0x40)
        }
        if (load(slot) != 0) revert AuthorizationAlreadyUsed(authorizer, nonce);
        store(slot, 1);
    }

    function _digest(bytes32 content) private view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(_domainSeparator(), content);
    }

    /// @dev As the other, which asks the account's key first.
    function _requireSignature(address signer, bytes32 digest, uint8 v, bytes32 r, bytes32 s) private view {
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecover(digest, v, r, s);
        if (failure == ECDSA.RecoverError.NoError && recovered == signer) return;
        _requireContract(signer, digest, abi.encodePacked(r, s, v));
    }

    function _approve(address owner, address spender, uint256 amount) internal {
        if (spender == address(0)) revert ZeroAddress();
        digitalCurrencyStorage().allowances[owner][spender] = amount;
        emit Approval(owner, spender, amount);
    }
}
