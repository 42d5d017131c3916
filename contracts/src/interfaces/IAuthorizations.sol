// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IERC3009, IERC3009Cancel} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";

/// @title Signed authorisations of the single path
/// @notice ERC-2612 approvals with a counter of their own, and EIP-3009 payments with random nonces of their own: neither
/// touches the nonce of packed payments. Anyone may submit them, and every rule of a payment applies.
///
/// A signature is the owner's key's (65 bytes r, s, v with a low s), or one that the owner's code accepts by ERC-1271. An
/// account that delegates by EIP-7702 has both. An authorisation is valid strictly after `validAfter` and strictly before
/// `validBefore`.
interface IAuthorizations is IERC20Permit, IERC3009, IERC3009Cancel {
    error PermitExpired(uint256 deadline, uint256 blockTime);
    error AuthorizationNotYetValid(uint256 validAfter, uint256 blockTime);
    error AuthorizationExpired(uint256 validBefore, uint256 blockTime);
    error AuthorizationAlreadyUsed(address authorizer, bytes32 nonce);
    error CallerNotPayee(address caller, address payee);
    error InvalidSignature(address signer);

    /// @notice EIP-3009 with the signature as bytes, for an ERC-1271 payer.
    /// @dev Reverts with AuthorizationNotYetValid, AuthorizationExpired, AuthorizationAlreadyUsed, InvalidSignature, and
    /// what `transfer` reverts with.
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external;

    /// @notice As transferWithAuthorization, for the payee alone: nobody else can submit it first.
    /// @dev Reverts with CallerNotPayee as well.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external;

    /// @notice Ends an authorisation that was not used. It works while the currency is paused.
    /// @dev Reverts with AuthorizationAlreadyUsed, InvalidSignature.
    function cancelAuthorization(address authorizer, bytes32 nonce, bytes memory signature) external;
}
