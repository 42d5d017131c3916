// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Upgrades behind a delay
/// @notice The upgrader proposes an implementation together with the call that will initialise it, everybody can read
/// both for the whole delay, and only exactly that pair (and that code) can then be executed. The governor may cancel,
/// so a stolen upgrader key alone changes nothing.
interface IDelayedUpgrade {
    event UpgradeProposed(address indexed implementation, bytes data, uint256 readyAt);
    event UpgradeCancelled(bytes32 indexed commitment);

    error ImplementationWithoutCode(address implementation);
    error UpgradeNotProposed(address implementation);
    error UpgradeTooEarly(uint256 readyAt, uint256 blockTime);

    /// @notice Proposes an upgrade; it replaces one that waits.
    function proposeUpgrade(address implementation, bytes calldata data) external;

    /// @notice Drops the proposal that waits. For the upgrader and the governor.
    function cancelUpgrade() external;

    /// @return commitment keccak256(abi.encode(implementation, its code hash, keccak256(data))), or zero.
    /// @return readyAt Seconds since 1970 from which it can be executed.
    function pendingUpgrade() external view returns (bytes32 commitment, uint256 readyAt);

    function upgradeDelay() external view returns (uint256);
}
