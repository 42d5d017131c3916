"""Test vectors of SLIP-0039 and BIP-39, from the standards' own lists; the passphrase is TREZOR in all."""

PASSPHRASE = "TREZOR"

# SLIP-0039 "Test vectors": what it shows, then the shares, then the secret in hex or the refusal here.
SHARES = """\
1. Valid mnemonic without sharing (128 bits)
- duckling enlarge academic academic agency result length solution fridge kidney coal piece deal
  husband erode duke ajar critical decision keyboard
= bb54aac4b89dc868ba37d9cc21b2cece

4. Basic sharing 2-of-3 (128 bits)
- shadow pistol academic always adequate wildlife fancy gross oasis cylinder mustang wrist rescue view
  short owner flip making coding armed
- shadow pistol academic acid actress prayer class unknown daughter sweater depict flip twice unkind
  craft early superior advocate guest smoking
= b43ceb7e57a0ea8766221624d01b0864

17. Threshold number of groups and members in each group (128 bits, case 1)
- eraser senior decision roster beard treat identify grumpy salt index fake aviation theater cubic
  bike cause research dragon emphasis counter
- eraser senior ceramic snake clay various huge numb argue hesitate auction category timber browser
  greatest hanger petition script leaf pickup
- eraser senior ceramic shaft dynamic become junior wrist silver peasant force math alto coal amazing
  segment yelp velvet image paces
- eraser senior ceramic round column hawk trust auction smug shame alive greatest sheriff living
  perfect corner chest sled fumes adequate
- eraser senior decision smug corner ruin rescue cubic angel tackle skin skunk program roster trash
  rumor slush angel flea amazing
= 7c3397a292a5941682d7a4ae2d898d11

20. Valid mnemonic without sharing (256 bits)
- theory painting academic academic armed sweater year military elder discuss acne wildlife boring
  employer fused large satoshi bundle carbon diagnose anatomy hamster leaves tracks paces beyond
  phantom capital marvel lips brave detect luck
= 989baf9dcaad5b10ca33dfd8cc75e42477025dce88ae83e75a230086a0e00e92

23. Basic sharing 2-of-3 (256 bits)
- humidity disease academic always aluminum jewelry energy woman receiver strategy amuse duckling
  lying evidence network walnut tactics forget hairy rebound impulse brother survive clothes stadium
  mailman rival ocean reward venture always armed unwrap
- humidity disease academic agency actress jacket gross physics cylinder solution fake mortgage
  benefit public busy prepare sharp friar change work slow purchase ruler again tricycle involve viral
  wireless mixture anatomy desert cargo upgrade
= c938b319067687e990e05e0da0ecce1278f75ff58d9853f19dcaeed5de104aae

2. Mnemonic with invalid checksum (128 bits)
- duckling enlarge academic academic agency result length solution fridge kidney coal piece deal
  husband erode duke ajar critical decision kidney
= SharesUnusable

3. Mnemonic with invalid padding (128 bits)
- duckling enlarge academic academic email result length solution fridge kidney coal piece deal
  husband erode duke ajar music cargo fitness
= SharesUnusable

5. Basic sharing 2-of-3, one share
- shadow pistol academic always adequate wildlife fancy gross oasis cylinder mustang wrist rescue view
  short owner flip making coding armed
= TooFewShares

6. Mnemonics with different identifiers (128 bits)
- adequate smoking academic acid debut wine petition glen cluster slow rhyme slow simple epidemic
  rumor junk tracks treat olympic tolerate
- adequate stay academic agency agency formal party ting frequent learn upstairs remember smear leaf
  damage anatomy ladle market hush corner
= MixedShares

7. Mnemonics with different iteration exponents (128 bits)
- peasant leaves academic acid desert exact olympic math alive axle trial tackle drug deny decent
  smear dominant desert bucket remind
- peasant leader academic agency cultural blessing percent network envelope medal junk primary human
  pumps jacket fragment payroll ticket evoke voice
= MixedShares

11. Mnemonics with duplicate member indices (128 bits)
- device stay academic always dive coal antenna adult black exceed stadium herald advance soldier busy
  dryer daughter evaluate minister laser
- device stay academic always dwarf afraid robin gravity crunch adjust soul branch walnut coastal
  dream costume scholar mortgage mountain pumps
= SharesUnusable

12. Mnemonics with mismatching member thresholds (128 bits)
- hour painting academic academic device formal evoke guitar random modern justice filter withdraw
  trouble identify mailman insect general cover oven
- hour painting academic agency artist again daisy capital beaver fiber much enjoy suitable symbolic
  identify photo editor romp float echo
= SharesUnusable

13. Mnemonics giving an invalid digest (128 bits)
- guilt walnut academic acid deliver remove equip listen vampire tactics nylon rhythm failure husband
  fatigue alive blind enemy teaspoon rebound
- guilt walnut academic agency brave hamster hobo declare herd taste alpha slim criminal mild arcade
  formal romp branch pink ambition
= SharesUnusable

14. Insufficient number of groups (128 bits, case 1)
- eraser senior beard romp adorn nuclear spill corner cradle style ancient family general leader
  ambition exchange unusual garlic promise voice
= TooFewShares
"""

# BIP-39 "Test vectors": the words, then the seed in hex.
MNEMONICS = """\
abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about
= c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e5349553
  1f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04

legal winner thank year wave sausage worth useful legal winner thank yellow
= 2e8905819b8723fe2c1d161860e5ee1830318dbf49a83bd451cfb8440c28bd6f
  a457fe1296106559a3c80937a1c1069be3a3a5bd381ee6260e8d9739fce1f607

letter advice cage absurd amount doctor acoustic avoid letter advice cage above
= d71de856f81a8acc65e6fc851a38d4d7ec216fd0796d0a6827a3ad6ed5511a30
  fa280f12eb2e47ed2ac03b5c462a0358d18d69fe4f985ec81778c1b370b652a8

zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong
= ac27495480225222079d7be181583751e86f571027b0497b5b5d11218e0a8a13
  332572917f0f8e5a589620c6f15b11c61dee327651a14c34e18231052e48c069

abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon
abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art
= bda85446c68413707090a52022edd26a1c9462295029f2e60cd7c4f2bbd30971
  70af7a4d73245cafa9c3cca8d561a7c3de6f5d4a10be8ed2a5e608d68f92fcc8

zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo vote
= dd48c104698c30cfe2b6142103248622fb7bb0ff692eebb00089b32d22484e16
  13912f0a5b694407be899ffd31ed3992c456cdf60f5d4564b8ba3f05a69890ad
"""


def shares() -> list[tuple[str, list[str], str]]:
    """(what it shows, the shares, the secret or the name of the refusal)."""
    found = []
    for block in SHARES.strip().split("\n\n"):
        title, _, rest = block.partition("\n- ")
        words, _, result = rest.partition("\n= ")
        found.append((title, [" ".join(share.split()) for share in words.split("\n- ")], result.strip()))
    return found


def mnemonics() -> list[tuple[str, str]]:
    """(the words, the seed in hex)."""
    pairs = [block.split("\n= ") for block in MNEMONICS.strip().split("\n\n")]
    return [(" ".join(words.split()), "".join(seed.split())) for words, seed in pairs]
