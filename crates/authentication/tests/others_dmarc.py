"""What authheaders makes of mail: SPF, DKIM, ARC, and DMARC both as RFC 7489 has it and by the tree walk; and its ARC seals.

One question in JSON a line, one answer a line. The first brings the zone, which is all that the libraries below are told of the DNS.
"""
import base64
import copy
import functools
import ipaddress
import json
import sys

import authheaders
import authheaders.dmarc_lookup as lookup
import dkim
import dns.exception
import dns.resolver
import spf

zone = {}


def ask(name, kind):
    """The records of a name: None where there is no such name."""
    here = zone.get(name.lower().rstrip("."))
    if here and any(k == "DOWN" for k, _ in here):
        raise dns.exception.Timeout
    return here if here is None else [value for k, value in here if k == kind]


def resolve(name, kind):
    kind = kind.upper()
    found = ask(name, kind)
    if found is None:
        raise dns.resolver.NXDOMAIN
    if not found:
        raise dns.resolver.NoAnswer
    return ['"%s"' % value if kind == "TXT" else value for value in found]


def key(name, timeout=5):
    try:
        found = ask(name, "TXT")
    except dns.exception.Timeout as error:
        raise dkim.DnsTimeoutError("nobody answers") from error
    return found[0].encode() if found else None


def spf_lookup(name, kind, *_, **__):
    try:
        found = ask(name, kind) or []
    except dns.exception.Timeout as error:
        raise spf.TempError("nobody answers") from error
    shape = {
        "TXT": lambda value: (value.encode(),),
        "MX": lambda value: (10, value),
        "AAAA": lambda value: ipaddress.ip_address(value).packed,
    }.get(kind, lambda value: value)
    return [((name, kind), shape(value)) for value in found]


lookup.resolve = resolve
dkim.dnsplug._get_txt = key
spf.DNSLookup = spf_lookup
# It reads its whole list of public suffixes for every name.
suffixes = functools.cache(lambda location: lookup.PublicSuffixList(open(location, encoding="utf-8")))
lookup.get_org_domain_from_suffix_list = lambda location, name: suffixes(str(location)).get_public_suffix(name)
# And looks for a list on disk, which does not come with it, for every record.
authheaders.check_psddmarc_list = functools.cache(authheaders.check_psddmarc_list)


def dmarc(message, spf_result, dkim_result, dmarcbis):
    try:
        found = authheaders.check_dmarc(
            message, copy.deepcopy(spf_result), copy.deepcopy(dkim_result), dmarcbis=dmarcbis
        )
    except dns.exception.DNSException:
        return "temperror"
    except Exception as error:
        return "breaks: %s" % type(error).__name__
    policy = getattr(found, "policy", None)
    return found.result + (" " + policy if policy and found.result in ("pass", "fail") else "")


def verify(case):
    message = base64.b64decode(case["message"])
    spf_result = authheaders.check_spf(case["address"], case["sender"], case["helo"])
    dkim_result = authheaders.check_dkim(message)
    return {
        "spf": spf_result.result,
        "dkim": dkim_result.result,
        "list": dmarc(message, spf_result, dkim_result, False),
        "walk": dmarc(message, spf_result, dkim_result, True),
    }


def arc(message):
    try:
        return authheaders.check_arc(base64.b64decode(message)).result
    except Exception as error:
        return "breaks: %s" % type(error).__name__


def seal(case):
    """The message with its seal on top, and what was found before a footer was added; None where it would not."""
    message = base64.b64decode(case["message"])
    host = case["domain"]
    found = authheaders.authenticate_message(message, host, dkim=True, arc=True, dmarc=False)
    message = found.encode() + b"\r\n" + message + case["footer"].encode()
    made = authheaders.sign_message(
        message,
        case["selector"].encode(),
        host.encode(),
        case["key"].encode(),
        [b"from", b"to", b"subject", b"date", b"message-id"],
        sig="ARC",
        srv_id=host.encode(),
    )
    return base64.b64encode(b"".join(made) + message).decode() if made else None


for line in sys.stdin:
    asked = json.loads(line)
    for name, kind, value in asked.get("zone", []):
        zone.setdefault(name.lower(), []).append((kind, value))
    answer = {
        "verify": [verify(case) for case in asked.get("verify", [])],
        "arc": [arc(message) for message in asked.get("arc", [])],
        "seal": [seal(case) for case in asked.get("seal", [])],
    }
    print(json.dumps(answer), flush=True)
