// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Roles
/// @notice Each role is held by one address and handed over in two steps, so that it cannot be lost to a mistyped one.
/// A role's id is the keccak256 of its name: GOVERNOR, ISSUER, PAUSER, UPGRADER, SUPERVISOR, REGISTRAR.
interface IRoles {
    event RoleOffered(bytes32 indexed role, address indexed holder, address indexed candidate);
    event RoleTransferred(bytes32 indexed role, address indexed previousHolder, address indexed holder);

    error MissingRole(bytes32 role, address caller);
    error RoleNotOffered(bytes32 role, address caller);
    error RoleWithoutHolder(bytes32 role);

    /// @notice Offers the caller's role; the zero address withdraws an offer.
    function offerRole(bytes32 role, address candidate) external;

    /// @notice Takes an offered role; its last holder loses it.
    function acceptRole(bytes32 role) external;

    function roleHolder(bytes32 role) external view returns (address);

    function roleCandidate(bytes32 role) external view returns (address);
}
