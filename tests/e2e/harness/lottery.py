"""Configurations and clients by lot, from a seed: for holding what `explain` says against what happens."""
import random

DOMAINS = ("a.tld", "b.tld", "c.lab.tld")
LABELS = ("www", "api", "x1", "x2", "mail")
PATHS = ("/", "/api", "/api/v2", "/a%2Fb", "/static", "/deep/er/path")
TARGETS = ("/", "/api", "/api/", "/apix", "//api", "/x/../api/v2/y", "/%61pi/v2", "/api/v22", "/a%2Fb/c", "/a%2fb", "/a/b", "/static?x=1/../y",
           "/./static/", "/deep/er", "/deep/er/path/", "/deep/%65r/path/x?y", "/nothing", "/api/..", "/static/%2e%2e/api", "/%2Fapi", "/API")
SOURCES = tuple(f"127.0.0.{i}" for i in range(2, 10))
PROXY = "127.0.0.5"  # in accept_proxy of the listener "proxied"


class Lottery:
    def __init__(self, seed, pools):
        """pools: addresses of servers by kind: http, tls, tcp, and gone, where nobody listens."""
        self.random = random.Random(seed)
        self.pools = pools

    def chance(self, share):
        return self.random.random() < share

    def servers(self, kind):
        chosen = self.random.sample(self.pools[kind], self.random.randint(1, 3))
        out = [{"address": address} for address in chosen]
        if self.chance(0.25):
            out.append({"address": self.random.choice(self.pools["gone"])})
        if self.chance(0.06):
            out = [{"address": address} for address in self.random.sample(self.pools["gone"], 2)]
        for server in out:
            if self.chance(0.15):
                server[self.random.choice(("backup", "weight"))] = 0
            if "backup" in server:
                server["backup"] = True
        return out

    def hosts(self):
        def one():
            domain = self.random.choice(DOMAINS)
            return self.random.choice((f"*.{domain}", domain, *(f"{label}.{domain}" for label in LABELS)))
        return sorted({one() for _ in range(self.random.randint(1, 2))}) if not self.chance(0.06) else None

    def access(self):
        networks = ["127.0.0.2", "127.0.0.4/30", "127.0.0.8/31", "10.9.0.0/16"]
        return {kind: self.random.sample(networks, self.random.randint(1, 2))
                for kind in self.random.choice((("allow",), ("deny",), ("allow", "deny")))}

    def service(self):
        mode = self.random.choice(("passthrough", "edge", "edge", "reencrypt", "http", "http", "redirect", "edge-tcp"))
        out = {"mode": mode.split("-")[0], "health": {"type": "tcp", "interval": "200ms", "fall": 1}}
        hosts = self.hosts()
        if hosts:
            out["hosts"] = hosts
        tls = mode not in ("http", "redirect")
        listeners = ["https", "alt", "mixed", "proxied", "twin_a", "twin_b"] if tls else \
            ["http", "mixed", "twin_a", "twin_b", "proxied"] if mode == "http" else ["http", "https", "mixed", "alt"]
        out["listen"] = self.random.sample(listeners, self.random.choice((1, 1, 2)))
        if mode not in ("passthrough", "edge-tcp") and self.chance(0.6):
            out["paths"] = sorted(self.random.sample(PATHS, self.random.randint(1, 2)))
        if mode == "redirect":
            del out["health"]
            out["redirect"] = {"to": self.random.choice(("https://to.tld", "https://to.tld/base/")),
                               "status": self.random.choice((301, 302, 307, 308)), "keep_path": self.chance(0.7)}
        else:
            out["servers"] = self.servers({"passthrough": "tls", "reencrypt": "tls", "edge-tcp": "tcp"}.get(mode, "http"))
        if mode == "reencrypt":
            out["server_tls"] = {"verify": "none"}
        if mode == "edge-tcp":
            out["protocol"] = "tcp"
        if mode in ("edge", "reencrypt") and self.chance(0.5):
            out["plain_http"] = self.random.choice(("serve", "refuse"))
        if tls and mode != "passthrough" and self.chance(0.12):
            out["client_certificates"] = {"ca": "clients.pem"}
        if tls and mode != "passthrough" and self.chance(0.1):
            out["certificate"] = "fixed.pem"
        if self.chance(0.3):
            out["access"] = self.access()
        return out

    def services(self, count):
        out = {f"s{i:03}": self.service() for i in range(count)}
        out["z-raw"] = {"mode": "tcp", "listen": ["raw", "both", "mixed"], "servers": [self.pools["tcp"][0]]}
        out["z-ssh"] = {"mode": "ssh", "listen": ["both", "mixed"], "servers": [self.pools["tcp"][1]]}
        out["z-git"] = {"mode": "ssh", "listen": "git", "servers": [self.pools["tcp"][2]],
                        "access": {"deny": ["127.0.0.3", "127.0.0.6/31"]}}
        return out

    def host(self):
        domain = self.random.choice(DOMAINS)
        return self.random.choices((f"{self.random.choice(LABELS)}.{domain}", domain, f"new.{domain}", f"two.down.{domain}", "else.tld", "127.0.0.1"),
                                   (12, 4, 3, 1, 1, 1))[0]

    def client(self, listeners):
        """listeners: name -> (address, port)."""
        listener = self.random.choice(sorted(listeners))
        out = {"listener": listener, "to": listeners[listener][0], "port": listeners[listener][1],
               "scheme": self.random.choices(("https", "http", "ssh", "tcp"), (10, 6, 1, 1))[0], "host": self.host(),
               "request": self.random.choice(TARGETS), "from": self.random.choice(SOURCES),
               "method": self.random.choice(("GET", "GET", "POST")), "certificate": self.chance(0.5)}
        if out["scheme"] == "https" and self.chance(0.15):
            out["sni"] = self.random.choice((self.host(), "-"))
        if listener == "proxied" and self.chance(0.7) or self.chance(0.02):
            out["via"] = PROXY if self.chance(0.8) else self.random.choice(SOURCES)
            out["from"] = self.random.choice(("10.9.8.7", "127.0.0.2", "127.0.0.8"))
        return out
