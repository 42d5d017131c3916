// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";

import {GOVERNOR, RoleChecks, UPGRADER} from "./Roles.sol";
import {IDelayedUpgrade} from "./interfaces/IDelayedUpgrade.sol";

/// @custom:storage-location erc7201:florin.storage.DelayedUpgrade
struct DelayedUpgradeStorage {
    bytes32 commitment;
    uint64 readyAt;
    uint32 delay;
}

/// @dev keccak256(abi.encode(uint256(keccak256("florin.storage.DelayedUpgrade")) - 1)) & ~bytes32(uint256(0xff))
bytes32 constant DELAYED_UPGRADE_SLOT = 0xdd25c3f20a0e04edff47beec828f1a555e933bb67c83d292f1bd81481bb8d900;
function delayedUpgradeStorage() pure returns (DelayedUpgradeStorage storage $) {
    bytes32 slot = DELAYED_UPGRADE_SLOT;
    assembly ("memory-safe") {
        $.slot := slot
    }
}

function clearProposal() {
    DelayedUpgradeStorage storage $ = delayedUpgradeStorage();
    $.commitment = 0;
    $.readyAt = 0;
}

function upgradeCommitment(address implementation, bytes memory data) view returns (bytes32) {
    return keccak256(abi.encode(implementation, implementation.codehash, keccak256(data)));
}

/// @title Proposing an upgrade
abstract contract UpgradeProposals is IDelayedUpgrade, RoleChecks {
    function proposeUpgrade(address implementation, bytes calldata data) external onlyRole(UPGRADER) {
        if (implementation.code.length == 0) revert ImplementationWithoutCode(implementation);
        DelayedUpgradeStorage storage $ = delayedUpgradeStorage();
        uint256 readyAt = block.timestamp + $.delay;
        $.commitment = upgradeCommitment(implementation, data);
        $.readyAt = uint64(readyAt);
        emit UpgradeProposed(implementation, data, readyAt);
    }

    function cancelUpgrade() external {
        if (!_hasRole(GOVERNOR, msg.sender)) _requireRole(UPGRADER);
        bytes32 commitment = delayedUpgradeStorage().commitment;
        if (commitment == 0) revert UpgradeNotProposed(address(0));
        emit UpgradeCancelled(commitment);
        clearProposal();
    }

    function pendingUpgrade() external view returns (bytes32 commitment, uint256 readyAt) {
        DelayedUpgradeStorage storage $ = delayedUpgradeStorage();
        return ($.commitment, $.readyAt);
    }

    function upgradeDelay() external view returns (uint256) {
        return delayedUpgradeStorage().delay;
    }
}

/// @title Executing what was proposed, once its delay is over
abstract contract DelayedUpgrade is UUPSUpgradeable, RoleChecks {
    function upgradeToAndCall(address implementation, bytes memory data) public payable override {
        _requireRole(UPGRADER);
        DelayedUpgradeStorage storage $ = delayedUpgradeStorage();
        if ($.commitment != upgradeCommitment(implementation, data)) {
            revert IDelayedUpgrade.UpgradeNotProposed(implementation);
        }
        if (block.timestamp < $.readyAt) revert IDelayedUpgrade.UpgradeTooEarly($.readyAt, block.timestamp);
        clearProposal();
        super.upgradeToAndCall(implementation, data);
    }

    /// @dev The checks are in upgradeToAndCall, which sees the data as well; nothing else reaches this.
    // solhint-disable-next-line no-empty-blocks
    function _authorizeUpgrade(address) internal view override onlyRole(UPGRADER) {}
}
