"""A house full of services, for a dashboard to show."""
from .admin_mock import AdminMock, now, server, service, wave


def rates(requests=0.0, errors=0.0, connections=0.0, received=0.0, sent=0.0):
    return {"connections": connections, "requests": requests, "errors": errors, "received_bytes": received, "sent_bytes": sent}


def totals(requests=0, errors=0, connections=0, retries=0, received=0, sent=0):
    return {"connections": connections, "requests": requests, "errors": errors, "retries": retries, "received_bytes": received, "sent_bytes": sent,
            "status": {"2xx": requests - errors, "5xx": errors} if requests else {}}


def house(**keys):
    """Twelve services, of which one is down, one half, and one has lost its file."""
    pve = [server(f"10.0.0.1{i}:8006", name=f"pve{i}", check="tls", check_ms=1.8, load=i) for i in (1, 2)]
    pve.append(server("10.0.0.13:8006", "down", name="pve3", check="tls", check_ms=None, reason="connect: 10.0.0.13:8006: No route to host", since=now() - 754_000))
    services = [
        service("nextcloud", "reencrypt", preset="nextcloud", hosts=["cloud.example.tld"], sessions=6, rates=rates(12.3, 0, .4, 8_200, 412_000),
                totals=totals(90_211, 3, received=4_100_000_000, sent=88_000_000_000), servers=[server("10.0.0.14:443", name="nas", check="https", check_ms=4.2, load=2)]),
        service("proxmox", "passthrough", "degraded", pve, preset="proxmox", balance="source-hash", sticky=4, sessions=3,
                rates=rates(0, 0, .2, 1_900, 33_000), totals=totals(connections=812, received=30_000_000, sent=610_000_000)),
        service("vault", "reencrypt", "down", [server("10.0.0.20:8200", "down", check="https", check_ms=None, reason="HTTP status 503, expected 200", since=now() - 95_000)],
                kept=True, rates=rates(.6, .6, .1, 300, 900), totals=totals(1_204, 88, received=500_000, sent=9_000_000)),
        service("git", "edge", hosts=["git.example.tld"], rates=rates(3.1, 0, .2, 2_000, 61_000), totals=totals(20_114, received=77_000_000, sent=2_400_000_000)),
        service("git-ssh", "ssh", hosts=[], servers=[server("10.0.0.15:22", name="git", check="ssh", check_ms=12.1)], sessions=1,
                rates=rates(0, 0, .1, 400, 1_200), totals=totals(connections=211, received=9_000_000, sent=80_000_000)),
        service("immich", "edge", preset="immich", rates=rates(44.0, 0, 1.1, 2_100_000, 5_900_000), totals=totals(310_870, 1, received=91_000_000_000, sent=240_000_000_000)),
        service("kubernetes", "passthrough", preset="kubernetes-api", servers=[server("10.0.0.21:6443", check="tls", check_ms=2.2), server("10.0.0.22:6443", check="tls", check_ms=2.4)],
                sessions=2, rates=rates(0, 0, 0, 4_000, 22_000), totals=totals(connections=93, received=88_000_000, sent=430_000_000)),
        service("home", "http", hosts=["home.lab"], listeners=["http"], servers=[server("10.0.0.30:8123", "unchecked", name="hass", check="", check_ms=None)],
                rates=rates(1.2, 0, 0, 500, 4_400), totals=totals(8_210, received=8_000_000, sent=90_000_000)),
        service("postgres", "tcp", hosts=[], listeners=["db"], servers=[server("10.0.0.40:5432", check="postgres", check_ms=.9, load=14, max_connections=50, connections=14),
                server("10.0.0.41:5432", check="postgres", check_ms=1.1, backup=True)], sessions=14,
                rates=rates(0, 0, 1.4, 22_000, 91_000), totals=totals(connections=44_120, received=9_100_000_000, sent=41_000_000_000)),
        service("wiki", "edge", servers=[server("10.0.0.50:80", check="http", weight=3, written_weight=1), server("10.0.0.51:80", check="http", admin="draining", load=1)],
                rates=rates(.3, 0, 0, 100, 8_000), totals=totals(4_410, received=1_000_000, sent=88_000_000)),
        service("grafana", "edge"),
        service("www", "redirect", "none", [], hosts=["example.tld", "www.example.tld"], rates=rates(.1), totals=totals(911, sent=300_000)),
    ]
    mock = AdminMock(services, **keys)
    mock.status.update(sessions=27, listeners=[
        {"name": "https", "binds": [{"address": ":443", "state": "open"}], "sessions": 11}, {"name": "http", "binds": [{"address": ":80", "state": "open"}], "sessions": 1},
        {"name": "ssh", "binds": [{"address": ":22", "state": "open"}], "sessions": 1},
        {"name": "db", "binds": [{"address": "10.0.0.6:5432", "state": "open"}, {"address": "10.9.0.1:5432", "state": "failed", "error": "bind: Cannot assign requested address"}], "sessions": 14}],
        rates=rates(61.6, .6, 3.5, 2_140_000, 6_530_000), totals=totals(435_730, 92, connections=45_236, received=104_000_000_000, sent=372_000_000_000), certificates={"total": 3, "expiring": 1})
    mock.status["reload"] = {"count": 4, "refused": 0, "last": {
        **mock.dry_run, "time": now() - 190_000, "result": "partial", "by": "files", "added": ["grafana"], "changed": ["wiki"], "kept": ["vault"], "faults": [
            {"severity": "error", "file": "conf.d/vault.yaml", "line": 3, "column": 7, "message": "unknown mode \"passthru\"; did you mean \"passthrough\"?", "excerpt": "  3 | mode: passthru\n    |       ^^^^^^^^", "service": "vault"},
            {"severity": "error", "file": "conf.d/mail.yaml", "line": 1, "column": 1, "message": "no servers", "excerpt": "  1 | mode: tcp\n    | ^^^^", "service": "mail"}]}}
    mock.left_out = [{"name": "mail", "faults": [mock.status["reload"]["last"]["faults"][1]]}]
    mock.problems = [{"file": "old.key", "message": "no certificate for this key"}]
    mock.histories[""] = {"requests": wave(1, 110), "errors": [0] * 120 + wave(3, 1, 30), "connections": wave(2, 7), "received_bytes": wave(4, 4_000_000), "sent_bytes": wave(1.3, 12_000_000)}
    for number, one in enumerate(services):
        r = one["rates"]
        mock.histories[one["name"]] = {"requests": wave(number, 2 * r["requests"]), "errors": wave(number, 2 * r["errors"]), "connections": wave(number, 2 * r["connections"]),
                                       "received_bytes": wave(number + .5, 2 * r["received_bytes"]), "sent_bytes": wave(number, 2 * r["sent_bytes"])}
    mock.certificates = [
        {"file": "wildcard.pem", "names": ["*.example.tld", "example.tld"], "issuer": "R11", "not_after": now() + 61 * 86_400_000, "days_left": 61, "key": "EC P-256", "default": True, "services": ["nextcloud", "git", "immich", "wiki", "grafana"]},
        {"file": "vault.pem", "names": ["vault.example.tld"], "issuer": "Home CA", "not_after": now() + 5 * 86_400_000, "days_left": 5, "key": "RSA 2048", "default": False, "services": ["vault"]},
        {"file": "old.pem", "names": ["old.example.tld"], "issuer": "Home CA", "not_after": now() + 300 * 86_400_000, "days_left": 300, "key": "EC P-256", "default": False, "services": []}]
    mock.sessions = [session(number) for number in range(27)]
    mock.explained["https://cloud.example.tld/login"] = {
        "target": "https://cloud.example.tld/login", "outcome": "server", "why": "its host \"cloud.example.tld\" is the exact name", "steps": [
            {"what": "listener", "text": "port 443 belongs to listener \"https\"", "file": "gateway.yaml", "line": 2},
            {"what": "sniff", "text": "a TLS hello for cloud.example.tld"},
            {"what": "service", "text": "host cloud.example.tld, path / is service nextcloud", "file": "conf.d/nextcloud.yaml", "line": 2},
            {"what": "certificate", "text": "wildcard.pem covers *.example.tld"}],
        "listener": "https", "protocol": "tls", "layer": "reencrypt", "service": "nextcloud", "file": "conf.d/nextcloud.yaml", "line": 1, "certificate": "wildcard.pem",
        "servers": [{"server": "10.0.0.14:443", "takes": True, "why": "up"}, {"server": "10.0.0.15:443", "takes": False, "why": "down: no route to host"}],
        "others": [{"service": "www", "why": "its host \"*.example.tld\" is less specific"}]}
    return mock


def session(number, **over):
    return {"id": f"1-{number:x}", "client": f"192.168.1.{20 + number % 9}", "listener": "https", "protocol": ("h2", "tls", "tcp")[number % 3], "mode": "edge", "state": "open",
            "service": ("immich", "proxmox", "postgres")[number % 3], "server": f"10.0.0.{11 + number % 3}:443", "sni": "photos.example.tld", "host": "photos.example.tld",
            "path": f"/api/assets/{number}/thumbnail", "started": now() - number * 71_000, "age_seconds": number * 71.0, "idle_seconds": number * 1.3,
            "received_bytes": number * 9_000, "sent_bytes": number * 810_000, "requests": number * 7, "streams": 1, **over}
