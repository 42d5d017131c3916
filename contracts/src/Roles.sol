// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IRoles} from "./interfaces/IRoles.sol";

bytes32 constant GOVERNOR = keccak256("GOVERNOR");
bytes32 constant ISSUER = keccak256("ISSUER");
bytes32 constant PAUSER = keccak256("PAUSER");
bytes32 constant UPGRADER = keccak256("UPGRADER");
bytes32 constant SUPERVISOR = keccak256("SUPERVISOR");
bytes32 constant REGISTRAR = keccak256("REGISTRAR");

/// @custom:storage-location erc7201:florin.storage.Roles
struct RolesStorage {
    mapping(bytes32 role => address) holders;
    mapping(bytes32 role => address) candidates;
}

/// @title The roles' storage and checks
abstract contract RoleChecks {
    /// @dev keccak256(abi.encode(uint256(keccak256("florin.storage.Roles")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant ROLES_SLOT = 0xe137fa5d5360f5dc87cdce5d5f319c8775421fca5a9b0f32b6933659cc4b4100;

    modifier onlyRole(bytes32 role) {
        _requireRole(role);
        _;
    }

    function _setRole(bytes32 role, address holder) internal {
        if (holder == address(0)) revert IRoles.RoleWithoutHolder(role);
        RolesStorage storage $ = _roles();
        emit IRoles.RoleTransferred(role, $.holders[role], holder);
        $.holders[role] = holder;
    }

    function _requireRole(bytes32 role) internal view {
        if (!_hasRole(role, msg.sender)) revert IRoles.MissingRole(role, msg.sender);
    }

    function _hasRole(bytes32 role, address caller) internal view returns (bool) {
        return _roles().holders[role] == caller;
    }

    function _roles() internal pure returns (RolesStorage storage $) {
        bytes32 slot = ROLES_SLOT;
        assembly ("memory-safe") {
            $.slot := slot
        }
    }
}

/// @title Who holds a role, and its handover
abstract contract Roles is IRoles, RoleChecks {
    function offerRole(bytes32 role, address candidate) external onlyRole(role) {
        _roles().candidates[role] = candidate;
        emit RoleOffered(role, msg.sender, candidate);
    }

    function acceptRole(bytes32 role) external {
        RolesStorage storage $ = _roles();
        if ($.candidates[role] != msg.sender) revert RoleNotOffered(role, msg.sender);
        delete $.candidates[role];
        _setRole(role, msg.sender);
    }

    function roleHolder(bytes32 role) external view returns (address) {
        return _roles().holders[role];
    }

    function roleCandidate(bytes32 role) external view returns (address) {
        return _roles().candidates[role];
    }
}
