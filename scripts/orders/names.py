"""Names for the people and payees of a book, who have only numbers there: the same number, the same name."""

from __future__ import annotations

import hashlib

# fmt: off
_WOMEN = (
    "Jana", "Marie", "Eva", "Hana", "Anna", "Lenka", "Kateřina", "Věra", "Lucie", "Alena", "Petra",
    "Veronika", "Jaroslava", "Tereza", "Martina", "Michaela", "Ludmila", "Helena", "Zdeňka", "Ivana",
    "Monika", "Zuzana", "Jitka", "Eliška", "Barbora", "Dana", "Olga", "Božena", "Irena", "Adéla",
)
_MEN = (
    "Jiří", "Jan", "Petr", "Josef", "Pavel", "Martin", "Tomáš", "Jaroslav", "Miroslav", "Zdeněk",
    "František", "Václav", "Michal", "Karel", "Milan", "Lukáš", "Jakub", "David", "Vladimír", "Ladislav",
    "Ondřej", "Roman", "Marek", "Stanislav", "Antonín", "Radek", "Daniel", "Vojtěch", "Filip", "Adam",
)
# A man's form and a woman's.
_SURNAMES = (
    "Novák Nováková", "Svoboda Svobodová", "Novotný Novotná", "Dvořák Dvořáková", "Černý Černá",
    "Procházka Procházková", "Kučera Kučerová", "Veselý Veselá", "Horák Horáková", "Němec Němcová",
    "Pokorný Pokorná", "Marek Marková", "Pospíšil Pospíšilová", "Hájek Hájková", "Jelínek Jelínková",
    "Král Králová", "Růžička Růžičková", "Beneš Benešová", "Fiala Fialová", "Sedláček Sedláčková",
    "Doležal Doležalová", "Zeman Zemanová", "Kolář Kolářová", "Krejčí Krejčí", "Navrátil Navrátilová",
    "Čermák Čermáková", "Urban Urbanová", "Vaněk Vaňková", "Blažek Blažková", "Kříž Křížová",
    "Kopecký Kopecká", "Konečný Konečná", "Malý Malá", "Holub Holubová", "Štěpánek Štěpánková",
    "Bartoš Bartošová", "Vlček Vlčková", "Říha Říhová", "Mareš Marešová", "Moravec Moravcová",
)
# fmt: on
_PURPOSES = {"SIPO": "Household services", "UVER": "Loans", "POJISTNE": "Insurance", "LEASING": "Leasing"}


def person_name(client_id: int, *, is_woman: bool) -> str:
    """A made-up Czech name."""
    digest = hashlib.sha256(f"florin client {client_id}".encode()).digest()
    given = (_WOMEN if is_woman else _MEN)[int.from_bytes(digest[:4], "big") % 30]
    man, woman = _SURNAMES[int.from_bytes(digest[4:8], "big") % len(_SURNAMES)].split()
    return f"{given} {woman if is_woman else man}"


def payee_name(bank_to: str, account_to: str, purpose: str) -> str:
    """What a payee is called: the kind of its orders (the form's `k_symbol`) and its old account."""
    return f"{_PURPOSES.get(purpose, 'Payee')} {account_to}/{bank_to}"
