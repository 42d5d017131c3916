// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Administration
/// @notice What holds of a role and participants do, but for payments: who takes part, with which limits, and how much is
/// issued.
interface IAdministration {
    // ------------------------------------------------------------------------------------------------ types

    /// @param governor Sets participants and tiers.
    /// @param issuer Approves minting allowances against reserves.
    /// @param pauser Stops and restarts all movement of money.
    /// @param upgrader Proposes and, after the delay, executes upgrades.
    /// @param supervisor Suspends and reinstates participants.
    /// @param registrar Registers orders (IOrders).
    /// @param upgradeDelay Seconds between proposing and executing an upgrade; only an upgrade can change it.
    struct Init {
        string name;
        string symbol;
        uint8 decimals;
        address governor;
        address issuer;
        address pauser;
        address upgrader;
        address supervisor;
        address registrar;
        uint32 upgradeDelay;
    }

    /// @notice The limits of a tier from `since` (seconds since 1970) until the next version's.
    struct TierVersion {
        uint64 since;
        uint96 holdingLimit;
        uint64 perPaymentLimit;
        uint64 dailyLimit;
    }

    /// @notice What the owner of an account signs to move it to the caller's bank: EIP-712 type AccountMove(address
    /// owner,uint256 participant,uint256 tier,uint256 flags,uint256 nonce,uint256 validBefore), under the domain of
    /// `settle`. `participant` is the new bank's; `flags` zero or LINKED; the nonce is of the account's one row with its
    /// packed payments.
    struct Move {
        address owner;
        uint8 tier;
        uint24 flags;
        uint32 nonce;
        uint64 validBefore;
    }

    // ------------------------------------------------------------------------------------------------ events

    /// @notice An account was registered, or its tier or flags changed. `flags` are all of its flags.
    event AccountRegistered(address indexed account, uint16 indexed participant, uint8 tier, uint24 flags);

    /// @notice The owner moved the account with its money to another participant; follows AccountRegistered.
    event AccountMoved(address indexed account, uint16 indexed from, uint16 indexed to);

    event ParticipantStandingChanged(uint16 indexed participant, bool isSuspended);
    event ParticipantSet(uint16 indexed participant, address indexed institution, uint8 tier, uint256 tierMask);
    event TierSet(uint8 indexed tier, uint256 holdingLimit, uint256 perPaymentLimit, uint256 dailyLimit);
    event MintAllowanceChanged(uint16 indexed participant, uint256 previousAllowance, uint256 allowance);
    event Paused(address indexed by);
    event Unpaused(address indexed by);

    // ------------------------------------------------------------------------------------------------ errors

    error NotPaused();
    error ParticipantNotSuspended(uint256 participant);
    error MintAllowanceExceeded(uint256 participant, uint256 allowance, uint256 amount);
    error SupplyLimitExceeded(uint256 supply, uint256 amount);
    error UnknownParticipant(uint256 participant);
    error TierNotGranted(uint256 participant, uint8 tier);
    error TierNotSet(uint8 tier);
    error FlagsNotGranted(uint24 flags);
    error AccountOfAnotherParticipant(address account, uint256 participant);
    error AccountNotChangeable(address account);
    error PerPaymentAboveHoldingLimit(uint256 perPaymentLimit, uint256 holdingLimit);

    // ------------------------------------------------------------------------------------------------ start

    /// @notice Called once, by the proxy's constructor.
    function initialize(Init calldata init) external;

    // ------------------------------------------------------------------------------------------------ governor

    /// @notice Creates or changes a participant: its institution's account, that account's tier, and the tiers that it
    /// may grant (bit t of `tierMask` for tier t). The institution's account is registered by this call with INSTITUTION;
    /// an institution that it replaces keeps its money and loses INSTITUTION.
    /// Who is the new institution acts for the participant in everything: its minting allowance and its settlement balance
    /// are the participant's, not the old key's.
    /// @dev Reverts with UnknownParticipant(0), ZeroAddress, TierNotSet, AccountOfAnotherParticipant, AccountNotChangeable
    /// (also when the institution to be replaced is frozen or held under an order), and ParticipantSuspended when a
    /// suspended institution would be replaced.
    function setParticipant(uint16 id, address institution, uint8 institutionTier, uint256 tierMask) external;

    /// @notice Registers the account of a contract of the system (Settlement, say) with SYSTEM. It belongs to no participant,
    /// and is paid only by a call of its own (transferFrom, receiveWithAuthorization): no stray payment reaches it.
    /// @dev Reverts with ZeroAddress, TierNotSet, AccountNotChangeable (an account that was registered as another kind).
    function setSystemAccount(address owner, uint8 tier_) external;

    /// @notice Sets the limits of a tier. A daily limit of type(uint64).max means none. A lower limit never moves money:
    /// what is above it leaves only by its owner's signature or an order. Every version is kept (tierVersions).
    /// @dev Reverts with PerPaymentAboveHoldingLimit.
    function setTier(uint8 id, uint96 holdingLimit, uint64 perPaymentLimit, uint64 dailyLimit) external;

    // ------------------------------------------------------------------------------------------------ supervisor

    /// @notice Suspends a participant: its institution neither pays, is paid, mints, burns, settles nor registers. Its
    /// customers keep their money, can move it on the single path, and can move to another participant.
    /// @dev Reverts with UnknownParticipant, ParticipantSuspended.
    function suspendParticipant(uint16 id) external;

    /// @dev Reverts with UnknownParticipant, ParticipantNotSuspended.
    function reinstateParticipant(uint16 id) external;

    // ------------------------------------------------------------------------------------------------ issuer

    /// @notice Approves more minting, against reserves that the central bank holds for it off chain.
    function increaseMintAllowance(uint16 id, uint256 amount) external;

    /// @notice Takes back an approval that was not used.
    /// @dev Reverts with MintAllowanceExceeded when less than `amount` is left.
    function decreaseMintAllowance(uint16 id, uint256 amount) external;

    // ------------------------------------------------------------------------------------------------ participants

    /// @notice Mints to the calling institution's account; the allowance declines by the amount.
    /// @dev Reverts with MintAllowanceExceeded, HoldingLimitExceeded, SupplyLimitExceeded, ZeroAmount.
    function mint(uint256 amount) external;

    /// @notice Returns currency to the central bank: burns from the calling institution's account.
    /// @dev Reverts with InsufficientBalance, FundsHeld, ZeroAmount. It does not restore the allowance.
    function burn(uint256 amount) external;

    /// @notice Vouches for the caller's customers: registers new accounts, or changes the tier and LINKED of its own. It
    /// never touches a balance. One account that cannot be registered reverts the whole call.
    /// @param flags Zero or LINKED.
    /// @dev Reverts with TierNotGranted, FlagsNotGranted, AccountOfAnotherParticipant, ZeroAddress, and
    /// AccountNotChangeable for an institution's, the system's or a closed account.
    function register(address[] calldata accounts, uint8 tier_, uint24 flags) external;

    /// @notice Takes an account over from another participant, by its owner's signature: key or ERC-1271. Its balance and
    /// what orders hold of it stay; unexecuted packed payments with lower nonces end.
    /// @dev Reverts with TierNotGranted, FlagsNotGranted, AuthorizationExpired, PayerNotRegistered,
    /// AccountOfAnotherParticipant (it is the caller's already), AccountNotChangeable (frozen, closed, an institution),
    /// NonceUsed, InvalidSignature.
    function moveAccount(Move calldata to, bytes calldata signature) external;

    // ------------------------------------------------------------------------------------------------ pauser

    /// @notice Stops payments, minting and burning. Registration and administration go on.
    function pause() external;

    function unpause() external;

    // ------------------------------------------------------------------------------------------------ views

    function name() external view returns (string memory);

    function symbol() external view returns (string memory);

    /// @notice The currency's ISO 4217 exponent.
    function decimals() external view returns (uint8);

    /// @notice Raw account words, for bulk readers.
    function accountWords(address[] calldata owners) external view returns (uint256[] memory);

    function tier(uint8 id)
        external
        view
        returns (uint96 holdingLimit, uint64 perPaymentLimit, uint64 dailyLimit);

    /// @notice Every version of a tier's limits, the oldest first; the last one is in force.
    function tierVersions(uint8 id) external view returns (TierVersion[] memory);

    function participant(uint16 id)
        external
        view
        returns (address institution, uint8 institutionTier, uint256 tierMask);

    /// @notice Grows with every change to an institution's account but its balance: whoever keeps a copy of participants'
    /// standing (Settlement) sees by it that the copy is old.
    function standingEpoch() external view returns (uint256);

    function mintAllowance(uint16 id) external view returns (uint256);
}
