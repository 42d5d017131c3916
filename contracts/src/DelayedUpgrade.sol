// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";

import {GOVERNOR, Roles, UPGRADER} from "./Roles.sol";
import {IDelayedUpgrade} from "./interfaces/IDelayedUpgrade.sol";

/// @custom:storage-location erc7201:florin.storage.DelayedUpgrade
struct DelayedUpgradeStorage {
    bytes32 commitment;
    uint64 readyAt;
    uint32 delay;
}

abstract contract DelayedUpgrade is IDelayedUpgrade, UUPSUpgradeable, Roles {
    /// @dev keccak256(abi.encode(uint256(keccak256("florin.storage.DelayedUpgrade")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant DELAYED_UPGRADE_SLOT = 0xdd25c3f20a0e04edff47beec828f1a555e933bb67c83d292f1bd81481bb8d900;

    function proposeUpgrade(address implementation, bytes calldata data) external onlyRole(UPGRADER) {
        if (implementation.code.length == 0) revert ImplementationWithoutCode(implementation);
        DelayedUpgradeStorage storage $ = _upgrade();
        uint256 readyAt = block.timestamp + $.delay;
        $.commitment = _commitment(implementation, data);
        $.readyAt = uint64(readyAt);
        emit UpgradeProposed(implementation, data, readyAt);
    }

    function cancelUpgrade() external {
        if (!_hasRole(GOVERNOR, msg.sender)) _requireRole(UPGRADER);
        bytes32 commitment = _upgrade().commitment;
        if (commitment == 0) revert UpgradeNotProposed(address(0));
        emit UpgradeCancelled(commitment);
        _clear();
    }

    function upgradeToAndCall(address implementation, bytes memory data) public payable override {
        _requireRole(UPGRADER);
        DelayedUpgradeStorage storage $ = _upgrade();
        if ($.commitment != _commitment(implementation, data)) revert UpgradeNotProposed(implementation);
        if (block.timestamp < $.readyAt) revert UpgradeTooEarly($.readyAt, block.timestamp);
        _clear();
        super.upgradeToAndCall(implementation, data);
    }

    function pendingUpgrade() external view returns (bytes32 commitment, uint256 readyAt) {
        DelayedUpgradeStorage storage $ = _upgrade();
        return ($.commitment, $.readyAt);
    }

    function upgradeDelay() external view returns (uint256) {
        return _upgrade().delay;
    }

    function _setUpgradeDelay(uint32 delay) internal {
        _upgrade().delay = delay;
    }

    /// @dev The checks are in upgradeToAndCall, which sees the data as well; nothing else reaches this.
    // solhint-disable-next-line no-empty-blocks
    function _authorizeUpgrade(address) internal view override onlyRole(UPGRADER) {}

    function _clear() private {
        DelayedUpgradeStorage storage $ = _upgrade();
        $.commitment = 0;
        $.readyAt = 0;
    }

    function _commitment(address implementation, bytes memory data) private view returns (bytes32) {
        return keccak256(abi.encode(implementation, implementation.codehash, keccak256(data)));
    }

    function _upgrade() private pure returns (DelayedUpgradeStorage storage $) {
        bytes32 slot = DELAYED_UPGRADE_SLOT;
        assembly ("memory-safe") {
            $.slot := slot
        }
    }
}
