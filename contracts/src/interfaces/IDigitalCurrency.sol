// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";

/// @title DigitalCurrency
/// @notice A central bank's digital currency, distributed by participant banks. Amounts are integers in minor units;
/// `decimals` is the currency's own ISO 4217 exponent.
///
/// Deviations from ERC-20 that an integrator must know:
/// - only registered accounts hold the currency, and every payment passes the rules listed at `settle`;
/// - a payment of zero and a payment to oneself are refused;
/// - what the payee may not hold flows on to the payee's bank in the same transaction (`Waterfall`), so a payee can end
///   with less than the amount of the `Transfer`. No amount is ever changed without the events that say so.
///
/// The codes beside the reasons at `settle` are the numbers of `Skipped`; the words are the same as the custom errors
/// of the single path.
interface IDigitalCurrency is IERC20Metadata {
    // ------------------------------------------------------------------------------------------------ types

    /// @param governor Sets participants and tiers.
    /// @param issuer Approves minting allowances against reserves.
    /// @param pauser Stops and restarts all movement of money.
    /// @param upgrader Proposes and, after the delay, executes upgrades.
    /// @param upgradeDelay Seconds between proposing and executing an upgrade; only an upgrade can change it.
    struct Init {
        string name;
        string symbol;
        uint8 decimals;
        address governor;
        address issuer;
        address pauser;
        address upgrader;
        uint32 upgradeDelay;
    }

    /// @notice An account word, decoded (see AccountWord).
    /// @param nonce The lowest nonce that a packed payment of this account may still use.
    /// @param spentToday What it paid on `day` (days since 1970-01-01 UTC, 16 bits); stale when `day` is past.
    struct Account {
        uint96 balance;
        uint32 nonce;
        uint64 spentToday;
        uint16 day;
        uint16 participant;
        uint8 tier;
        uint24 flags;
    }

    // ------------------------------------------------------------------------------------------------ events

    /// @notice `payee` could not hold `excess`, and it flowed on to its bank's account. Follows the two Transfers:
    /// payer to payee with the full amount, payee to bank with the excess.
    event Waterfall(address indexed payee, address indexed bank, uint256 excess);

    /// @notice The last log of every `settle`.
    event BatchSettled(uint16 indexed participant, uint256 records, uint256 executed);

    /// @notice Emitted just before BatchSettled when something was skipped. Bit i of the bitmap, least significant
    /// first in byte i / 8, tells that record i was skipped; `reasons` has one byte for each skipped record, in order.
    event Skipped(bytes bitmap, bytes reasons);

    /// @notice An account was registered, or its tier or flags changed. `flags` are all of its flags.
    event AccountRegistered(address indexed account, uint16 indexed participant, uint8 tier, uint24 flags);

    event ParticipantSet(uint16 indexed participant, address indexed institution, uint8 tier, uint256 tierMask);
    event TierSet(uint8 indexed tier, uint256 holdingLimit, uint256 perPaymentLimit, uint256 dailyLimit);
    event MintAllowanceChanged(uint16 indexed participant, uint256 previousAllowance, uint256 allowance);
    event Paused(address indexed by);
    event Unpaused(address indexed by);

    // ------------------------------------------------------------------------------------------------ errors

    error CurrencyPaused();
    error NotPaused();
    error BatchExpired(uint64 validBefore, uint256 blockTime);
    error MalformedBatch(uint256 length);
    error NotAParticipant(address caller);
    error ParticipantFrozen(uint256 participant);

    error ZeroAmount();
    error SelfPayment(address account);
    error PayerNotRegistered(address payer);
    error PayerFrozen(address payer);
    error PayerClosed(address payer);
    error PayeeNotRegistered(address payee);
    error PayeeFrozen(address payee);
    error PayeeClosed(address payee);
    error PerPaymentLimitExceeded(address payer, uint256 amount, uint256 limit);
    error DailyLimitExceeded(address payer, uint256 wouldHaveSpent, uint256 limit);
    error InsufficientBalance(address payer, uint256 balance, uint256 amount);
    error HoldingLimitExceeded(address payee, uint256 excess, uint256 limit);
    error InsufficientAllowance(address spender, uint256 allowance, uint256 amount);

    error MintAllowanceExceeded(uint256 participant, uint256 allowance, uint256 amount);
    error SupplyLimitExceeded(uint256 supply, uint256 amount);
    error UnknownParticipant(uint256 participant);
    error TierNotGranted(uint256 participant, uint8 tier);
    error FlagsNotGranted(uint24 flags);
    error AccountOfAnotherParticipant(address account, uint256 participant);
    error AccountNotChangeable(address account);
    error PerPaymentAboveHoldingLimit(uint256 perPaymentLimit, uint256 holdingLimit);
    error ZeroAddress();

    // ------------------------------------------------------------------------------------------------ start

    /// @notice Called once, by the proxy's constructor.
    function initialize(Init calldata init) external;

    // ------------------------------------------------------------------------------------------------ governor

    /// @notice Creates or changes a participant: its institution's account, that account's tier, and the tiers that it
    /// may grant (bit t of `tierMask` for tier t). The institution's account is registered by this call with INSTITUTION;
    /// an institution that it replaces keeps its money and loses INSTITUTION.
    /// @dev Reverts with UnknownParticipant(0), ZeroAddress, AccountOfAnotherParticipant, AccountNotChangeable.
    function setParticipant(uint16 id, address institution, uint8 institutionTier, uint256 tierMask) external;

    /// @notice Sets the limits of a tier. A daily limit of type(uint64).max means none. A lower limit never moves money:
    /// what is above it leaves only by its owner's signature.
    /// @dev Reverts with PerPaymentAboveHoldingLimit.
    function setTier(uint8 id, uint96 holdingLimit, uint64 perPaymentLimit, uint64 dailyLimit) external;

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
    /// @dev Reverts with InsufficientBalance, ZeroAmount. It does not restore the allowance.
    function burn(uint256 amount) external;

    /// @notice Vouches for the caller's customers: registers new accounts, or changes the tier and LINKED of its own. It
    /// never touches a balance. One account that cannot be registered reverts the whole call.
    /// @param flags Zero or LINKED.
    /// @dev Reverts with TierNotGranted, FlagsNotGranted, AccountOfAnotherParticipant, ZeroAddress, and
    /// AccountNotChangeable for an institution's, the system's or a closed account.
    function register(address[] calldata accounts, uint8 tier_, uint24 flags) external;

    /// @notice Executes signed payments of the caller's customers (or of the caller itself: funding).
    ///
    /// A record is 93 bytes: payee 20 | amount 5 | nonce 4 | r 32 | vs 32 (EIP-2098). The payer is recovered from the
    /// EIP-712 signature of Payment(address payee,uint256 amount,uint256 nonce,uint256 validBefore) under the domain
    /// {name: the token's, version: "1", chainId, verifyingContract}.
    ///
    /// A record executes if its nonce is at least the account's; the account's nonce is then one more than the record's.
    /// Gaps are allowed. A bad record is skipped and reported; it never harms the others:
    /// - 1 BadSignature, 2 PayerNotOfParticipant, 3 NonceUsed (2^32 - 1 is never usable) change nothing: the signature
    ///   stays valid until its nonce is used or `validBefore` passes;
    /// - the rules consume the nonce. In the order in which they are asked: 23 ZeroAmount, 24 SelfPayment,
    ///   16 PayerFrozen, 25 PayerClosed, 17 PayeeNotRegistered, 18 PayeeFrozen, 26 PayeeClosed,
    ///   19 PerPaymentLimitExceeded, 20 DailyLimitExceeded, 21 InsufficientBalance, 22 HoldingLimitExceeded.
    ///
    /// Waterfall: the payee keeps min(room, amount) and its bank receives the rest, exempt from limits. That needs a
    /// LINKED payee, a bank account in good standing, and a payer and payee that are not INSTITUTION; else a payment
    /// above the holding limit is refused.
    /// @param validBefore Seconds since 1970; executable strictly before it. It is part of every signature.
    /// @dev Reverts with CurrencyPaused, BatchExpired, NotAParticipant, ParticipantFrozen, MalformedBatch (no record, or
    /// bytes missing or left over).
    function settle(bytes calldata records, uint64 validBefore) external;

    // ------------------------------------------------------------------------------------------------ pauser

    /// @notice Stops payments, minting and burning. Registration and administration go on.
    function pause() external;

    function unpause() external;

    // ------------------------------------------------------------------------------------------------ views

    function account(address owner) external view returns (Account memory);

    /// @notice Raw account words, for bulk readers.
    function accountWords(address[] calldata owners) external view returns (uint256[] memory);

    function tier(uint8 id)
        external
        view
        returns (uint96 holdingLimit, uint64 perPaymentLimit, uint64 dailyLimit);

    function participant(uint16 id)
        external
        view
        returns (address institution, uint8 institutionTier, uint256 tierMask);

    function mintAllowance(uint16 id) external view returns (uint256);

    function paused() external view returns (bool);

    // solhint-disable-next-line func-name-mixedcase
    function DOMAIN_SEPARATOR() external view returns (bytes32);
}
