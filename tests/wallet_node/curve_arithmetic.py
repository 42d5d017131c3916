"""ECDSA over short Weierstrass curves in plain integers, to build signatures that no library would make.

Source: SEC 1 §2.2.1 (addition), §4.1 (ECDSA); parameters: SEC 2 §2.4.1 (secp256k1), §2.4.2 (secp256r1).
Slow and not constant-time: for tests only.
"""

from dataclasses import dataclass

Point = tuple[int, int] | None
"""None is the point at infinity."""


@dataclass(frozen=True)
class Curve:
    """y^2 = x^3 + a x + b over the integers modulo p, with a generator g of prime order n."""

    p: int
    a: int
    b: int
    g: tuple[int, int]
    n: int

    def add(self, first: Point, second: Point) -> Point:
        if first is None or second is None:
            return first or second
        (x1, y1), (x2, y2) = first, second
        if x1 == x2 and (y1 + y2) % self.p == 0:
            return None
        if first == second:
            slope = (3 * x1 * x1 + self.a) * pow(2 * y1, -1, self.p)
        else:
            slope = (y2 - y1) * pow(x2 - x1, -1, self.p)
        x3 = (slope * slope - x1 - x2) % self.p
        return x3, (slope * (x1 - x3) - y1) % self.p

    def multiply(self, scalar: int, point: Point) -> Point:
        total: Point = None
        while scalar:
            if scalar & 1:
                total = self.add(total, point)
            point = self.add(point, point)
            scalar >>= 1
        return total

    def point(self, x: int) -> tuple[int, int]:
        """A point with this x. Both primes are 3 modulo 4."""
        square = (x * x * x + self.a * x + self.b) % self.p
        y = pow(square, (self.p + 1) // 4, self.p)
        if y * y % self.p != square:
            raise ValueError("no point of the curve has this x")
        return x, y

    def sign(self, secret: int, digest: int, k: int) -> tuple[int, int]:
        """(r, s) with a chosen nonce."""
        nonce_point = self.multiply(k, self.g)
        assert nonce_point is not None
        r = nonce_point[0] % self.n
        return r, pow(k, -1, self.n) * (digest + r * secret) % self.n

    def signer_of(self, r_point: tuple[int, int], r: int, s: int, digest: int) -> Point:
        """The public key under which (r, s) is valid, with the nonce's point chosen (SEC 1 §4.1.6)."""
        scaled = self.add(self.multiply(s, r_point), self.multiply(-digest % self.n, self.g))
        return self.multiply(pow(r, -1, self.n), scaled)


SECP256K1 = Curve(
    p=2**256 - 2**32 - 977,
    a=0,
    b=7,
    g=(
        0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
        0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
    ),
    n=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
)
P256 = Curve(
    p=2**256 - 2**224 + 2**192 + 2**96 - 1,
    a=-3,
    b=0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    g=(
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    ),
    n=0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
)


@dataclass(frozen=True)
class Case:
    """One signature and whether it is valid ECDSA. A digest is its 256-bit integer."""

    what: str
    key: tuple[int, int]
    digest: int
    r: int
    s: int
    is_valid: bool


def edge_cases(curve: Curve) -> list[Case]:
    """What Project Wycheproof's ECDSA tests ask, built from the standard: ranges, edges, special points."""
    n, secret, digest, k = curve.n, 0x1234567890ABCDEF, 0xAB << 200, 0xC0FFEE
    key = _known(curve.multiply(secret, curve.g))
    r, s = curve.sign(secret, digest, k)
    cases = [
        Case("as signed", key, digest, r, s, True),
        Case("the other s (malleable, and valid ECDSA)", key, digest, r, n - s, True),
        Case("another digest", key, digest ^ 1, r, s, False),
        Case("another key", _known(curve.multiply(secret + 1, curve.g)), digest, r, s, False),
        Case("the key negated", (key[0], curve.p - key[1]), digest, r, s, False),
        Case("r and s exchanged", key, digest, s, r, False),
    ]
    bad_r = {
        "0": 0,
        "n": n,
        "p": curve.p,
        "r + n": r + n,
        "2^256 - 1": 2**256 - 1,
        "n - r": n - r,
        "n - 1": n - 1,
    }
    bad_s = {"0": 0, "n": n, "p": curve.p, "s + n": s + n, "2^256 - 1": 2**256 - 1, "1": 1, "n - 1": n - 1}
    cases += [Case(f"r = {name}", key, digest, value, s, False) for name, value in bad_r.items()]
    cases += [Case(f"s = {name}", key, digest, r, value, False) for name, value in bad_s.items()]
    edges = {"0": 0, "1": 1, "n": n, "n - 1": n - 1, "n + 1": n + 1, "2^256 - 1": 2**256 - 1}
    for a_name, a in edges.items():
        for b_name, b in edges.items():
            if not (0 < a < n and 0 < b < n):
                cases.append(Case(f"r = {a_name}, s = {b_name}", key, digest, a, b, False))
    # A valid signature where s = u1 = ... are edges: the key is computed from the signature.
    for name, edge_s in (("1", 1), ("n - 1", n - 1), ("half the order", n // 2), ("half + 1", n // 2 + 1)):
        cases.append(_built(curve, f"s = {name}", curve.multiply(k, curve.g), edge_s, digest))
    small = next(x for x in range(1, 50) if _is_on(curve, x))
    cases.append(_built(curve, "r as small as a point allows", curve.point(small), 7, digest))
    large = next(x for x in range(n - 1, n - 100, -1) if _is_on(curve, x))
    cases.append(_built(curve, "r close to n", curve.point(large), 7, digest))
    cases.append(_built(curve, "the digest is zero", curve.multiply(k, curve.g), 7, 0))
    cases.append(_built(curve, "the digest is n", curve.multiply(k, curve.g), 7, n))
    cases.append(_built(curve, "the digest is all ones", curve.multiply(k, curve.g), 7, 2**256 - 1))
    # k = secret, digest = 0 mod n and so on: the two halves of verification are equal or opposite points.
    r2, s2 = curve.sign(secret, secret * _known(curve.multiply(k, curve.g))[0] % n, k)
    cases.append(Case("u1 G and u2 Q are the same point", key, secret * r2 % n, r2, s2, True))
    # s so that u1 G + u2 Q is the point at infinity: digest = -r secret
    cases.append(Case("the sum is the point at infinity", key, -r * secret % n, r, s, False))
    return cases


def _built(curve: Curve, what: str, r_point: Point, s: int, digest: int) -> Case:
    point = _known(r_point)
    r = point[0] % curve.n
    return Case(what, _known(curve.signer_of(point, r, s, digest)), digest, r, s, True)


def _known(point: Point) -> tuple[int, int]:
    assert point is not None
    return point


def _is_on(curve: Curve, x: int) -> bool:
    try:
        curve.point(x)
    except ValueError:
        return False
    return True


def reduced_r_case(curve: Curve) -> Case:
    """Valid ECDSA whose nonce's point has an x above n, so that r = x - n: recovery ids 2 and 3."""
    x = next(x for x in range(curve.n + 1, curve.p) if _is_on(curve, x))
    return _built(curve, "r was reduced", curve.point(x), 7, 0xAB << 200)
