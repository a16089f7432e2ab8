"""The dashboard's page alone, before an admin interface that says what a test wants it to: what it shows, and what it does not let through."""
import json
import os
import re
import time
import zlib

import pytest

from harness.admin_mock import AdminMock, server, service
from harness.admin_samples import house, rates, session, totals
from harness.devtools import Page, png_size, steady
from harness.wait import until

ROW = "#services-body tr.service"


@pytest.fixture
def admin():
    """admin(AdminMock)."""
    made = []

    def keep(mock):
        made.append(mock)
        return mock
    yield keep
    for mock in made:
        if mock.running:
            mock.stop()


@pytest.fixture
def page():
    """page(url, …): at the end nothing may have been complained of, and nothing asked of another place. `expected`: complaints that belong to the test."""
    made = []

    def open_page(url, expected=None, **keys):
        one = Page(url, **keys)
        made.append((one, url, expected))
        return one
    yield open_page
    try:
        for one, url, expected in made:
            others = [asked for _, asked in one.requests if not asked.startswith((url, "data:"))]
            assert not others, f"asked of another place: {others}"
            problems = [problem for problem in one.problems if not (expected and re.search(expected, problem))]
            assert not problems, problems
    finally:
        for one, _, _ in made:
            one.close()


def ready(one, rows):
    one.wait(f"document.querySelectorAll('{ROW}').length === {rows}")
    return one


def row_of(name):
    return f"[...document.querySelectorAll('{ROW}')].find(r => r.querySelector('.name').innerText.trim() === {json.dumps(name)})"


def open_row(one, name):
    one.eval(f"{row_of(name)}.querySelector('.name').click()")
    one.wait("document.querySelector('tr.detail .inner tbody tr')")


def first_pixel(png):
    """Whatever its filter is, the first pixel of a picture stands as it is."""
    data = b""
    at = 8
    while at < len(png):
        size = int.from_bytes(png[at:at + 4], "big")
        if png[at + 4:at + 8] == b"IDAT":
            data += png[at + 8:at + 8 + size]
        at += size + 12
    return tuple(zlib.decompressobj().decompress(data, 4)[1:4])


def keep(tmp_path, name):
    """SALLYPORT_PICTURES=FOLDER keeps the pictures, to be looked at."""
    return os.path.join(os.environ.get("SALLYPORT_PICTURES") or tmp_path, f"{name}.png")


def give_token(one, text="secret"):
    one.click("#access")
    one.type("#token-input", text)
    one.press("Enter")


def test_pictures_light_dark_and_on_a_phone(admin, page, tmp_path):
    mock = admin(house(step=2))
    mock.alive = True
    one = ready(page(mock.url, width=1280, height=900), 12)
    open_row(one, "proxmox")
    one.wait("document.querySelectorAll('.spark path[d]').length >= 3")
    steady(one, "document.querySelector('#tiles .line').getAttribute('d').length > 500")
    light = one.picture(keep(tmp_path, "light"))
    one.look(1280, 900, dark=True)
    dark = one.picture(keep(tmp_path, "dark"))
    one.look(390, 844, mobile=True)
    one.wait("innerWidth === 390")
    assert one.eval("document.documentElement.scrollWidth") <= 390, "the page does not fit a phone"
    assert one.eval("[...document.querySelectorAll('#panel-services > .scroll')].every(e => e.scrollWidth <= e.clientWidth)"), "the table does not fit a phone"
    one.picture(keep(tmp_path, "phone-whole"), whole=True)
    phone = one.picture(keep(tmp_path, "phone"))
    assert (png_size(light), png_size(dark), png_size(phone)) == ((1280, 900), (1280, 900), (780, 1688))
    assert min(first_pixel(light)) > 200 and max(first_pixel(dark)) < 60
    for tab in ("sessions", "certificates", "listeners", "configuration", "explain"):
        one.eval(f"document.getElementById('tab-{tab}').click()")
        if tab == "sessions":
            one.wait("document.querySelectorAll('#sessions-body tr').length === 27")
        if tab == "explain":
            one.type("#explain-target", "https://cloud.example.tld/login")
            one.press("Enter")
            one.wait("document.querySelector('.steps li')")
        if tab == "certificates":
            one.wait("document.querySelectorAll('#certificates-body tr').length === 3")
        one.look(390, 844, mobile=True)
        assert one.eval("document.documentElement.scrollWidth") <= 390, f"{tab} does not fit a phone"
        one.picture(keep(tmp_path, f"phone-{tab}"))
        one.look(1280, 900, dark=tab in ("sessions", "configuration"))
        one.picture(keep(tmp_path, tab))


def test_a_chosen_theme_stays(admin, page):
    mock = admin(house())
    one = ready(page(mock.url, dark=False), 12)
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light = one.eval(background)
    one.click("#theme")
    dark = one.eval(background)
    assert dark != light
    one.call("Page.reload")
    ready(one, 12)
    assert one.eval(background) == dark
    one.click("#theme")
    assert one.eval(background) == light and one.eval("localStorage.length") == 0, "what the system says needs no memory"


def test_what_the_api_says_is_shown(admin, page):
    mock = admin(house())
    one = ready(page(mock.url), 12)
    shown = one.eval(f"[...document.querySelectorAll('{ROW}')].map(r => [...r.cells].slice(0, 6).map(c => c.innerText.trim().replace(/\\s+/g, ' ')))")
    assert shown[0] == ["vault last good", "down", "reencrypt", "0/1", "0.6 req", "0.6"]
    assert shown[1] == ["proxmox", "degraded", "passthrough", "2/3", "0.2 conn", "0"]
    assert [row[0] for row in shown[2:]] == ["git", "git-ssh", "grafana", "home", "immich", "kubernetes", "nextcloud", "postgres", "wiki", "www"]
    assert shown[-1][1:4] == ["no servers", "redirect", "–"]
    assert "up 3 d 3 h" in one.eval("document.querySelector('.top').innerText") and "27 of 30,000 sessions" in one.eval("document.querySelector('.top').innerText")
    one.wait("document.querySelectorAll('#attention-list li').length === 6")
    assert one.texts("#attention-list li") == ["1 service down: vault", "Listener db is not open on 10.9.0.1:5432: bind: Cannot assign requested address", "1 service left out by a fault: mail",
                         "1 service with a fault, going on as before: vault", "1 service with a server down: proxmox", "1 certificate will soon expire, or did"]
    open_row(one, "proxmox")
    servers = one.eval("[...document.querySelectorAll('.inner tbody tr')].map(r => [...r.cells].map(c => c.innerText.trim()))")
    assert [row[1] for row in servers] == ["up", "up", "down"] and servers[2][2] == "connect: 10.0.0.13:8006: No route to host" and servers[2][3] == "12 min"
    assert "conf.d/proxmox.yaml:1" in one.eval("document.querySelector('.detail .facts').innerText")
    one.click("#tab-configuration")
    faults = sorted(one.texts("#reload-last .fault"), reverse=True)
    assert len(faults) == 2 and "conf.d/vault.yaml:3:7" in faults[0] and "mode: passthru" in faults[0] and "did you mean" in faults[0]
    assert "Left out: mail" in one.eval("document.querySelector('#reload-last').innerText")
    one.click("#tab-certificates")
    one.wait("document.querySelectorAll('#certificates-body tr').length === 3")
    assert one.texts("#certificates-problems") == ["old.key no certificate for this key"]
    assert one.texts("#certificates-body .days") == ["5 d", "61 d", "300 d"]
    one.click("#tab-listeners")
    assert "failed" in one.texts("#listeners-body tr")[3]


def test_filter_and_order(admin, page):
    mock = admin(house())
    one = ready(page(mock.url), 12)
    names = f"[...document.querySelectorAll('{ROW} .name')].map(e => e.innerText.trim()).join()"
    one.type("#services-filter", "10.0.0.13")
    one.wait(f"{names} === 'proxmox'")
    one.type("#services-filter", "GIT ssh")
    one.wait(f"{names} === 'git-ssh'")
    one.type("#services-filter", "nothing like it")
    one.wait(f"{names} === '' && document.querySelector('#services-empty').innerText === 'No service matches.'")
    one.eval("{ const f = document.querySelector('#services-filter'); f.value = ''; f.dispatchEvent(new Event('input')); }")
    one.click("th[data-sort=traffic] button")
    one.wait(f"{names}.startsWith('immich,nextcloud')")
    assert one.eval("document.querySelector('th[data-sort=traffic]').getAttribute('aria-sort')") == "descending"
    one.click("th[data-sort=name] button")
    one.click("th[data-sort=name] button")
    one.wait(f"{names}.startsWith('www,wiki,vault')")
    one.click("#services-states [data-of=down]")
    one.wait(f"{names} === 'vault'")


def test_a_state_changes_at_once_and_back(admin, page):
    mock = admin(AdminMock([service("a"), service("b")], step=60))
    one = ready(page(mock.url), 2)
    mock.change("b", state="down", servers=[server(state="down", reason="connect: refused")])
    one.wait(f"{row_of('b')}.querySelector('.state').innerText === 'down'")
    red = one.eval(f"getComputedStyle({row_of('b')}.querySelector('.state i')).backgroundColor")
    assert one.eval("document.querySelector('#announcer').textContent") == "b down"
    assert one.eval(f"document.querySelector('{ROW} .name').innerText.trim()") == "b", "what is down stands first"
    mock.change("b", state="up", servers=[server()])
    one.wait(f"{row_of('b')}.querySelector('.state').innerText === 'up'")
    green = one.eval(f"getComputedStyle({row_of('b')}.querySelector('.state i')).backgroundColor")
    assert (red, green) == ("rgb(187, 42, 40)", "rgb(22, 121, 74)")
    mock.remove("b")
    one.wait(f"document.querySelectorAll('{ROW}').length === 1")


def test_what_a_stranger_wrote_stays_text(admin, page):
    markup = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>"\'&amp;'
    mock = admin(AdminMock([service(markup, mode=markup, file=markup, hosts=[markup], paths=["/" + markup], preset=markup, listeners=[markup], kept=True,
                                    servers=[server(markup, "down", name=f"x{markup}", reason=markup, check=markup, admin=markup)])]))
    mock.status.update(version=markup, listeners=[{"name": markup, "binds": [{"address": markup, "state": "failed", "error": markup}], "sessions": 1}])
    fault = {"severity": "error", "file": markup, "line": 1, "column": 2, "message": markup, "excerpt": markup, "service": "gone" + markup}
    mock.status["reload"]["last"] = {**mock.dry_run, "by": markup, "added": [markup], "kept": [markup], "faults": [fault]}
    mock.left_out = [{"name": "gone" + markup, "faults": [fault]}]
    mock.problems = [{"file": markup, "message": markup}]
    mock.dry_run = {**mock.dry_run, "faults": [fault], "removed": [markup], "result": markup}
    mock.sessions = [session(1, id=markup, client=markup, service=markup, server=markup, sni=markup, host=markup, path=markup, protocol=markup, listener=markup)]
    mock.certificates = [{"file": markup, "names": [markup], "issuer": markup, "not_after": 1764383411000, "days_left": 3, "key": markup, "default": True, "services": [markup]}]
    mock.explained[markup] = {"target": markup, "outcome": markup, "why": markup, "steps": [{"what": markup, "text": markup, "file": markup, "line": 3}], "service": markup,
                              "servers": [{"server": markup, "takes": False, "why": markup}], "others": [{"service": markup, "why": markup}]}
    one = ready(page(mock.url), 1)
    give_token(one)
    one.wait("document.querySelector('#access-text').innerText === 'May change'")
    one.click(f"{ROW} .name")
    one.wait("document.querySelector('.inner .reason')")
    assert one.eval("document.querySelector('.inner .reason').textContent") == markup
    assert one.eval(f"document.querySelector('{ROW} .name').innerText.trim()") == markup
    one.click("#tab-sessions")
    one.wait("document.querySelectorAll('#sessions-body tr').length === 1")
    assert one.eval("document.querySelector('#sessions-body td:nth-child(5)').textContent") == markup * 2
    one.click("#tab-certificates")
    one.wait("document.querySelectorAll('#certificates-body tr').length === 1")
    one.click("#tab-configuration")
    one.click("#reload-look")
    one.wait("document.querySelector('#reload-preview .fault')")
    one.type("#explain-target", markup)
    one.press("Enter")
    one.wait("document.querySelector('#explain-result .steps')")
    assert one.eval("document.querySelector('#explain-result .steps li').textContent").count(markup) == 3
    one.click("#tab-listeners")
    for state in ("up", "down"):
        mock.change(markup, state=state)
        one.wait(f"document.querySelector('{ROW} .state').textContent === {json.dumps(state)}")
    assert one.eval("document.querySelectorAll('img').length") == 1 and one.eval("document.querySelectorAll('script').length") == 2
    assert one.eval("window.hit") is None


@pytest.mark.parametrize("attack", ["<script>window.hit=1</script>", "<img src=x onerror=window.hit=1>"])
def test_the_policy_holds_even_where_the_page_would_not(admin, page, attack):
    """Markup that found its way into the page all the same does not run: the policy is seen to be one."""
    mock = admin(AdminMock([service("a")]))
    one = ready(page(mock.url, expected="Content Security Policy|ContentSecurityPolicy|Trusted"), 1)
    one.eval(f"{{ const d = new DOMParser(); try {{ document.body.append(document.createRange().createContextualFragment({json.dumps(attack)})) }} catch {{}} }}")
    one.eval("{ const s = document.createElement('script'); try { s.textContent = 'window.hit=1' } catch {} ; document.body.append(s) }")
    one.eval("{ const b = document.createElement('b'); b.setAttribute('style', 'color: red'); document.body.append(b); window.styled = b.style.color }")
    assert one.eval("(() => { try { document.createElement('div').innerHTML = '<b></b>'; return 'taken' } catch { return 'refused' } })()") == "refused"
    assert one.eval("window.hit") is None and one.problems


def test_of_five_hundred_services_only_what_changed_is_drawn(admin, page, tmp_path):
    mock = admin(AdminMock([service(f"service-{n:03}", servers=[server(f"10.0.{n // 250}.{n % 250}:80"), server(f"10.1.{n // 250}.{n % 250}:80")]) for n in range(500)], step=0.5))
    watch = "new PerformanceObserver(list => { for (const e of list.getEntries()) (window.long ??= []).push(e.duration) }).observe({type: 'longtask', buffered: true});"
    one = ready(page(mock.url, before=watch), 500)
    steady(one, "document.querySelector('#tiles').innerText")
    one.eval("""{ window.touched = new Map();
      new MutationObserver(list => { for (const m of list) { const r = (m.target.nodeType === 1 ? m.target : m.target.parentElement)?.closest('tr');
        if (r) touched.set(r.querySelector('.name')?.innerText.trim(), (touched.get(r.querySelector('.name')?.innerText.trim()) ?? 0) + 1) } })
      .observe(document.querySelector('#services-table'), {subtree: true, childList: true, characterData: true, attributes: true}); }""")
    before = one.eval("(window.long ?? []).length")
    mock.change("service-250", rates=rates(7.5, sent=1000), totals=totals(15, sent=2000))
    one.wait(f"{row_of('service-250')}.innerText.includes('7.5')")
    for n in range(3):
        mock.change("service-251", rates=rates(n + 1.0), totals=totals(n + 1))
        one.wait(f"{row_of('service-251')}.innerText.includes('{n + 1}.0')")
    touched = dict(one.eval("[...touched]"))
    assert set(touched) <= {"service-250", "service-251"}, f"rows that did not change were drawn: {sorted(touched)[:10]}"
    assert touched["service-251"] < 40
    # A task may be long on a machine that is busy; one of many rows would always be.
    long = one.eval("window.long ?? []")[before:]
    assert not [duration for duration in long if duration > 1000], long
    one.eval("window.scrollTo(0, document.body.scrollHeight)")
    one.type("#services-filter", "service-49")
    one.wait(f"document.querySelectorAll('{ROW}').length === 10")
    one.picture(keep(tmp_path, "500"))


def test_a_lost_connection_is_told_and_comes_back(admin, page):
    mock = admin(AdminMock([service("stays"), service("leaves")]))
    one = ready(page(mock.url, expected="ERR_"), 2)
    assert one.eval("document.querySelector('#connection').innerText") == "Live" and one.shown("#lost") == 0
    mock.stop()
    one.wait("document.querySelector('#lost').checkVisibility()")
    assert re.match(r"Connection lost: .*What you see is of \d\d:\d\d:\d\d\.", one.eval("document.querySelector('#lost-text').innerText"))
    assert one.eval("document.querySelector('#connection').dataset.state") in ("lost", "connecting")
    assert one.eval(f"document.querySelectorAll('{ROW}').length") == 2, "what was known stays"
    del mock.services["leaves"]
    mock.start()
    one.wait(f"document.querySelectorAll('{ROW}').length === 1")
    one.wait("!document.querySelector('#lost').checkVisibility() && document.querySelector('#connection').innerText === 'Live'")


def test_silence_is_a_lost_connection_too(admin, page):
    mock = admin(AdminMock([service("a")]))
    one = ready(page(mock.url), 1)
    mock.silent = True
    one.wait("document.querySelector('#lost').checkVisibility()", 60)
    mock.silent = False
    one.wait("document.querySelector('#connection').innerText === 'Live'")


def test_a_hidden_page_asks_for_nothing(admin, page):
    mock = admin(house())
    one = ready(page(mock.url), 12)
    one.click("#tab-sessions")
    until(lambda: sum("sessions" in path for _, path in mock.asked) >= 2, "the sessions are not read again", 60)
    one.hide(True)
    until(lambda: mock.streams == 0, "the stream stays open")
    assert one.eval("document.querySelector('#connection').innerText") == "Paused"
    asked = len(mock.asked)
    time.sleep(4)
    assert len(mock.asked) == asked
    one.hide(False)
    until(lambda: mock.streams == 1, "the stream does not come back")
    one.wait("document.querySelector('#connection').innerText === 'Live'")
    one.click("#tab-services")
    before = sum("sessions" in path for _, path in mock.asked)
    time.sleep(4)
    assert sum("sessions" in path for _, path in mock.asked) == before, "nobody looks at the sessions"


def test_with_the_token_things_can_be_changed(admin, page, tmp_path):
    mock = admin(house())
    one = ready(page(mock.url, expected="401"), 12)
    changing = ".inner button, #log-level, #sessions-body button, #reload-go"
    open_row(one, "wiki")
    assert one.shown(changing) == 0 and one.texts("#access-text") == ["Read only"]
    one.click("#tab-configuration")
    one.click("#reload-look")
    one.wait("document.querySelector('#reload-preview').innerText.includes('wiki')")
    assert one.shown(changing) == 0, "what a reload would do may be seen, not done"
    give_token(one, "wrong")
    one.wait("document.querySelector('#token-error').innerText === 'the token is wrong'")
    one.type("#token-input", "secret")
    one.press("Enter")
    one.wait("document.querySelector('#access-text').innerText === 'May change' && !document.querySelector('#token-dialog').open")
    assert one.eval("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]

    one.click("#tab-services")
    one.wait("document.querySelector('.inner .actions button')")
    assert one.eval("[...document.querySelectorAll('.inner tbody tr')].map(r => [...r.querySelectorAll('.actions button')].filter(b => b.checkVisibility()).map(b => b.innerText).join())") \
        == ["Drain,Disable", "Enable,Disable"]
    one.eval("document.querySelector('.inner').scrollIntoView({block: 'center'})")
    one.picture(keep(tmp_path, "token"))
    one.click("[aria-label='Disable 10.0.0.50:80 of wiki']")
    one.wait("document.querySelector('.inner tbody tr').innerText.includes('disabled')")
    one.wait("document.querySelector('#note').textContent === 'wiki: 10.0.0.50:80 is disabled'")
    one.type("[aria-label='Weight of 10.0.0.51:80']", "50")
    one.press("Enter")
    until(lambda: len(mock.changes) == 2, "the weight was not set")
    one.eval("{ const w = document.querySelector('[aria-label=\\'Weight of 10.0.0.51:80\\']'); w.value = ''; w.dispatchEvent(new Event('input')); }")
    mock.change("wiki", servers=[{**each, "weight": 60} for each in mock.services["wiki"]["servers"]])
    one.wait("[...document.querySelectorAll('input.weight')].map(w => w.value).join() === '60,'", what="what was typed to stay, the other to follow")
    one.click("[aria-label='Set the weight of 10.0.0.51:80']")
    until(lambda: len(mock.changes) == 3, "the weight was not taken back")

    one.click("#tab-sessions")
    one.wait("document.querySelectorAll('#sessions-body tr').length === 27")
    cut = "#sessions-body tr:nth-child(2) .actions button"
    one.click(cut)
    assert one.texts(cut) == ["Cut it?"] and len(mock.changes) == 3, "one click cuts nobody"
    one.click(cut)
    one.wait("document.querySelectorAll('#sessions-body tr').length === 26")

    one.click("#tab-configuration")
    one.eval("{ const s = document.querySelector('#log-level'); s.value = 'debug'; s.dispatchEvent(new Event('change')); }")
    one.click("#reload-look")
    one.click("#reload-go")
    one.wait("document.querySelector('#reload-last').innerText.includes('by command')")
    until(lambda: len(mock.changes) == 6, lambda: mock.changes)
    assert mock.changes == [
        ("PATCH", "servers/wiki/10.0.0.50:80", {"admin": "disabled"}), ("PATCH", "servers/wiki/10.0.0.51:80", {"weight": 50}),
        ("PATCH", "servers/wiki/10.0.0.51:80", {"weight": None}), ("DELETE", "sessions/1-1", None), ("PUT", "log-level", {"level": "debug"}), ("POST", "reload", None)]
    one.click("#access")
    one.click("#token-forget")
    one.wait("document.querySelector('#access-text').innerText === 'Read only'")
    assert one.shown(changing) == 0 and one.eval("sessionStorage.length") == 0


def test_a_gateway_that_shows_nothing_without_the_token_asks_for_it(admin, page):
    mock = admin(AdminMock([service("a")], reading_needs_token=True))
    one = page(mock.url, expected="401")
    one.wait("document.querySelector('#token-dialog').open")
    assert one.texts("#connection-text") == ["Token needed"]
    one.type("#token-input", "secret")
    one.press("Enter")
    ready(one, 1)


def test_explain_says_where_an_address_leads(admin, page):
    mock = admin(house())
    one = ready(page(mock.url), 12)
    one.type("#explain-target", "https://cloud.example.tld/login")
    one.press("Enter")
    one.wait("document.querySelectorAll('.steps li').length === 4")
    assert one.eval("document.querySelector('#explain-result h3').textContent") == "https://cloud.example.tld/login goes to a server"
    text = one.eval("document.querySelector('#explain-result').innerText")
    for words in ("gateway.yaml:2", "conf.d/nextcloud.yaml:1", "wildcard.pem", "may get it 10.0.0.14:443", "does not 10.0.0.15:443", "less specific"):
        assert words in text
    one.type("#explain-from", "192.0.2.7")
    one.press("Enter")
    until(lambda: any("from=192.0.2.7" in path for _, path in mock.asked), "the address was not asked for")
    one.problems.clear()
    one.type("#explain-target", "::::")
    one.press("Enter")
    one.wait("document.querySelector('#explain-result').innerText === '\"::::\" is no URL'")
    one.problems = [problem for problem in one.problems if "status of 400" not in problem]


def test_the_keyboard_is_enough(admin, page):
    mock = admin(house())
    one = ready(page(mock.url), 12)
    one.eval("document.activeElement.blur()")
    order = []
    for _ in range(26):
        one.press("Tab")
        order.append(one.eval("(e => e.id || e.dataset.of || e.closest('[data-sort]')?.dataset.sort || e.closest('section')?.id || e.className)(document.activeElement)"))
    assert order[:4] == ["skip", "explain-target", order[2], "access"] and order[4] == "theme"
    assert order[5:11] == ["attention"] * 6
    assert order[11:13] == ["tab-services", "services-filter"]
    assert order[14:17] == ["down", "degraded", "up"] and order[17:20] == ["name", "state", "mode"]
    visible = one.eval("(e => { const s = getComputedStyle(e); return e.matches(':focus-visible') && s.outlineStyle === 'solid' })(document.activeElement)")
    assert visible, "one sees where the focus is"
    one.eval("document.querySelector('#tab-services').focus()")
    one.press("ArrowRight")
    assert one.eval("[document.activeElement.id, location.hash]") == ["tab-sessions", "#sessions"]
    one.press("End")
    assert one.eval("document.activeElement.id") == "tab-explain"
    one.press("ArrowRight")
    assert one.shown("#panel-services") == 1
    one.eval(f"{row_of('proxmox')}.querySelector('.name').focus()")
    one.press("Enter")
    one.wait("document.querySelector('tr.detail')")
    mock.change("proxmox", state="down")
    one.wait(f"{row_of('proxmox')}.dataset.state === 'down'")
    assert one.eval(f"document.activeElement === {row_of('proxmox')}.querySelector('.name')"), "the focus stays where it was"
    one.press(" ")
    one.wait("!document.querySelector('tr.detail')")


def test_everything_that_can_be_pressed_has_a_name(admin, page):
    mock = admin(house())
    one = ready(page(mock.url), 12)
    give_token(one)
    one.wait("document.querySelector('#access-text').innerText === 'May change'")
    open_row(one, "wiki")
    one.call("Accessibility.enable")
    seen = 0
    for tab in ("services", "sessions", "certificates", "listeners", "configuration", "explain"):
        one.eval(f"document.getElementById('tab-{tab}').click()")
        for node in one.call("Accessibility.getFullAXTree")["nodes"]:
            if not node.get("ignored") and node["role"]["value"] in ("button", "textbox", "searchbox", "combobox", "spinbutton", "tab", "table", "image", "link", "tabpanel", "dialog"):
                seen += 1
                assert node.get("name", {}).get("value"), (tab, node)
    assert seen > 100


def test_who_wants_no_motion_gets_none(admin, page):
    mock = admin(AdminMock([service("a")]))
    one = ready(page(mock.url), 1)
    one.wait("document.querySelector('#connection').dataset.state === 'live'")
    moving = "document.getAnimations().length"
    assert one.eval(moving) > 0
    one.look(1280, 900, reduced_motion=True)
    assert one.eval(moving) == 0
