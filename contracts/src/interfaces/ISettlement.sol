// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IDigitalCurrency} from "./IDigitalCurrency.sol";

/// @title Settlement
/// @notice Settles between the participants of one currency in central-bank money, three ways: gross at once or from a
/// queue (`submit`, `resolve`), and in deferred multilateral net cycles (`settleNet`, `settleGross`).
///
/// A participant is an id of the currency; whoever is its institution there acts for it here. It moves currency into
/// its settlement account (`deposit`) and out again (`withdraw`) whenever it likes. No role can withdraw, and the contract
/// cannot be upgraded, so what the books say is what a participant can take out:
/// `currency.balanceOf(settlement)` is the sum of all settlement balances, always. For that, the currency must know this
/// contract as a system account, which nobody else can pay.
///
/// **Standing.** A participant in good standing has an institution in the currency that is registered and neither FROZEN,
/// CLOSED nor SUSPENDED. Whoever calls for a participant, the payee of a new payment, both sides of all that `resolve`
/// settles and every participant of a net cycle must be. All are looked up in the currency in that moment, but for a
/// participant of a cycle whom an earlier cycle looked up since the currency's `standingEpoch` last changed: it still is.
///
/// **Pause.** While the currency is paused nothing settles; queued payments can still be held and cancelled.
interface ISettlement {
    // ------------------------------------------------------------------------------------------------ types

    /// @notice SETTLED, CANCELLED and EXPIRED are for ever: an id is used once.
    enum PaymentState {
        NONE,
        QUEUED,
        HELD,
        SETTLED,
        CANCELLED,
        EXPIRED
    }

    /// @param expiry Seconds since 1970; it settles strictly before it.
    /// @param priority 0 normal, 1 urgent, 2 highly urgent.
    struct Payment {
        uint64 amount;
        uint64 expiry;
        uint16 payer;
        uint16 payee;
        uint8 priority;
        PaymentState state;
    }

    /// @param netDebitCap The most that one net cycle may take from the participant: its consent, zero until it gives
    /// it. 2^47 - 1 means: all of its balance.
    /// @param isInStanding In the currency, now.
    /// @param queued How many payments wait unheld, by priority.
    struct Participant {
        uint64 balance;
        uint64 netDebitCap;
        bool isInStanding;
        uint32[3] queued;
    }

    // ------------------------------------------------------------------------------------------------ events

    event Deposited(uint16 indexed participant, uint256 amount);
    event Withdrawn(uint16 indexed participant, uint256 amount);
    event NetDebitCapSet(uint16 indexed participant, uint256 netDebitCap);

    /// @notice A payment is final. Within `resolve`, QueueResolved follows the last one.
    event PaymentSettled(
        bytes32 indexed paymentId, uint16 indexed payer, uint16 indexed payee, uint256 amount, uint8 priority
    );

    event PaymentQueued(
        bytes32 indexed paymentId,
        uint16 indexed payer,
        uint16 indexed payee,
        uint256 amount,
        uint8 priority,
        uint64 expiry
    );

    event PaymentHeld(bytes32 indexed paymentId, uint16 indexed payer);
    event PaymentResumed(bytes32 indexed paymentId, uint16 indexed payer);
    event PaymentReprioritised(bytes32 indexed paymentId, uint16 indexed payer, uint8 priority);
    event PaymentCancelled(bytes32 indexed paymentId, uint16 indexed payer);
    event PaymentExpired(bytes32 indexed paymentId, uint16 indexed payer);

    /// @param batchId keccak256 of the payment ids, one after the other.
    event QueueResolved(bytes32 indexed batchId, address indexed proposer, uint256 payments);

    /// @notice The one log of a net cycle.
    /// @param paymentsRoot What the operator says that the positions were computed from; after `settleGross`, the
    /// keccak256 of the packed payments.
    /// @param positions Packed as `settleNet` takes them.
    event CycleSettled(uint64 indexed cycle, bytes32 indexed paymentsRoot, bytes positions);

    // ------------------------------------------------------------------------------------------------ errors

    error CurrencyWithoutCode(address currency);
    error CurrencyPaused();
    error NotASystemAccount(address settlement);
    error NotAParticipant(address caller);
    error ParticipantNotInStanding(uint256 participant);

    error ZeroAmount();
    error InsufficientFunds(uint256 participant, uint256 balance, uint256 amount);
    error SettlementBalanceExceeded(uint256 total, uint256 limit);
    error NetDebitCapTooLarge(uint256 netDebitCap, uint256 limit);

    error PaymentToSelf(uint256 participant);
    error PaymentIdOfAnotherParticipant(bytes32 paymentId, uint256 participant);
    error PaymentIdUsed(bytes32 paymentId, PaymentState state);
    error UnknownPriority(uint8 priority);
    error ExpiryPassed(bytes32 paymentId, uint64 expiry, uint256 blockTime);
    error ExpiryNotPassed(bytes32 paymentId, uint64 expiry, uint256 blockTime);
    error NotThePayer(bytes32 paymentId, uint256 payer, uint256 caller);
    error PaymentNotQueued(bytes32 paymentId, PaymentState state);
    error PaymentNotHeld(bytes32 paymentId, PaymentState state);
    error PaymentNotWaiting(bytes32 paymentId, PaymentState state);
    error ResolutionSize(uint256 payments, uint256 limit);
    error HigherPriorityLeftBehind(uint256 payer, uint256 settledPriority);

    error MalformedCycle(uint256 participantBytes, uint256 paymentBytes);
    error CycleOutOfOrder(uint64 cycle, uint64 expected);
    error ParticipantsNotAscending(uint256 participant);
    error PositionsUnbalanced(int256 sum);
    error NetDebitCapExceeded(uint256 participant, uint256 netDebit, uint256 netDebitCap);
    /// @notice A payment names a place behind the `listed` participants.
    error ParticipantNotListed(uint256 listed);

    // ------------------------------------------------------------------------------------------------ accounts

    /// @notice Moves currency of the calling institution into its settlement account, by an allowance that it gave.
    /// @dev Reverts with NotAParticipant, ParticipantNotInStanding, ZeroAmount, NotASystemAccount (until the currency's
    /// governor made this contract one: any other account can be paid by anybody), SettlementBalanceExceeded, and whatever
    /// the currency refuses (CurrencyPaused, InsufficientAllowance, InsufficientBalance, ...).
    function deposit(uint64 amount) external;

    /// @notice Moves currency out of the caller's settlement account to the calling institution.
    /// @dev Reverts with NotAParticipant, ParticipantNotInStanding, ZeroAmount, InsufficientFunds, and whatever the
    /// currency refuses.
    function withdraw(uint64 amount) external;

    /// @notice Consents to net debits of at most this much a cycle; zero withdraws the consent, 2^47 - 1 is no limit.
    /// @dev Reverts with NotAParticipant, ParticipantNotInStanding, NetDebitCapTooLarge.
    function setNetDebitCap(uint64 netDebitCap) external;

    // ------------------------------------------------------------------------------------------------ gross and queue

    /// @notice Pays from the caller's settlement account. It settles at once if the funds suffice and none of the payer's
    /// unheld payments of the same or a higher priority waits; else it is queued.
    /// @param paymentId Used once for ever. Its first two bytes are the payer's participant id, so that nobody can use up
    /// an id of another.
    /// @param priority 0 normal, 1 urgent, 2 highly urgent.
    /// @param expiry Seconds since 1970; it settles strictly before it.
    /// @dev Reverts with NotAParticipant, ParticipantNotInStanding (either side), CurrencyPaused,
    /// PaymentIdOfAnotherParticipant, PaymentIdUsed, ZeroAmount, PaymentToSelf, UnknownPriority, ExpiryPassed.
    function submit(bytes32 paymentId, uint16 payee, uint64 amount, uint8 priority, uint64 expiry) external;

    /// @notice Takes a queued payment aside: it neither settles nor makes others wait. For its payer.
    /// @dev Reverts with NotAParticipant, ParticipantNotInStanding, NotThePayer, PaymentNotQueued.
    function hold(bytes32 paymentId) external;

    /// @notice Puts a held payment back into the queue; `resolve` settles it. For its payer.
    /// @dev Reverts with NotAParticipant, ParticipantNotInStanding, NotThePayer, PaymentNotHeld, ExpiryPassed.
    function resume(bytes32 paymentId) external;

    /// @notice Gives a queued or held payment another priority. For its payer.
    /// @dev Reverts with NotAParticipant, ParticipantNotInStanding, NotThePayer, PaymentNotWaiting, UnknownPriority.
    function reprioritise(bytes32 paymentId, uint8 priority) external;

    /// @notice Withdraws a queued or held payment for ever. For its payer.
    /// @dev Reverts with NotAParticipant, ParticipantNotInStanding, NotThePayer, PaymentNotWaiting.
    function cancel(bytes32 paymentId) external;

    /// @notice Takes queued or held payments whose time has passed off the queue. Anybody may: else they would keep the
    /// payer's payments of a lower priority waiting.
    /// @dev Reverts with PaymentNotWaiting, ExpiryNotPassed.
    function expire(bytes32[] calldata paymentIds) external;

    /// @notice Settles a set of queued payments at once by their multilateral net positions, all or nothing. Anybody may
    /// propose one; it is accepted only if
    /// - every payment is queued, unheld and unexpired, and named once;
    /// - no payer leaves an unheld payment of a higher priority behind;
    /// - both sides of each payment are in good standing in the currency;
    /// - no participant ends below zero.
    /// Among payments of one payer and priority the proposer chooses (a later one may bypass an earlier one).
    /// @dev Reverts with CurrencyPaused, ResolutionSize, PaymentNotQueued (a duplicate is SETTLED), ExpiryPassed,
    /// HigherPriorityLeftBehind, ParticipantNotInStanding, InsufficientFunds.
    function resolve(bytes32[] calldata paymentIds) external;

    // ------------------------------------------------------------------------------------------------ net cycles

    /// @notice Settles a cycle's net positions. For the OPERATOR.
    /// @param cycle One more than the last settled cycle, so that none is settled twice or left out.
    /// @param paymentsRoot Commits to the payments behind the positions; only published.
    /// @param positions Records of 12 bytes: participant 2 | position 10 (two's complement, positive receives), strictly
    /// ascending by participant, at most MAX_CYCLE_PARTICIPANTS. They sum to zero.
    /// @dev Reverts with MissingRole, CurrencyPaused, MalformedCycle, CycleOutOfOrder, ParticipantsNotAscending,
    /// ParticipantNotInStanding, NetDebitCapExceeded, InsufficientFunds, PositionsUnbalanced.
    function settleNet(uint64 cycle, bytes32 paymentsRoot, bytes calldata positions) external;

    /// @notice Nets a cycle's payments and settles the positions. For the OPERATOR.
    /// @param participants Records of 2 bytes, strictly ascending participant ids, at most MAX_CYCLE_PARTICIPANTS.
    /// @param payments Records of 10 bytes: amount 8 | payer 1 | payee 1, where payer and payee are places in
    /// `participants`, counted from zero; at most MAX_CYCLE_PAYMENTS. One of zero or to oneself nets to nothing.
    /// @dev Reverts as `settleNet` does, and with ParticipantNotListed.
    function settleGross(uint64 cycle, bytes calldata participants, bytes calldata payments) external;

    // ------------------------------------------------------------------------------------------------ views

    function currency() external view returns (IDigitalCurrency);

    function participant(uint16 id) external view returns (Participant memory);

    function payment(bytes32 paymentId) external view returns (Payment memory);

    /// @return The last settled cycle; zero before the first.
    function lastCycle() external view returns (uint64);

    // solhint-disable func-name-mixedcase
    function MAX_RESOLUTION() external view returns (uint256);
    function MAX_CYCLE_PARTICIPANTS() external view returns (uint256);
    function MAX_CYCLE_PAYMENTS() external view returns (uint256);
    // solhint-enable func-name-mixedcase
}
