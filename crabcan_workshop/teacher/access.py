"""Who may see the page: below JupyterHub the class's teacher, by the Hub's own login; else who has the token.

The token is in the address that is printed, and then in a cookie that no other site can use. The name that
the browser asked for is looked at, too: a stranger's name may be made to lead here (DNS rebinding).
"""
import hmac
import os
import secrets

from tornado import web

COOKIE = "crabcan-teach"
BELOW_HUB = "JUPYTERHUB_API_URL" in os.environ


class TokenHandler(web.RequestHandler):
    """A request of a browser on this machine."""

    def prepare(self):
        kept = self.settings["token"]
        if self.request.host not in self.settings["hosts"]:
            raise web.HTTPError(421, reason="not this name: use the address that was printed")
        if hmac.compare_digest(self.get_query_argument("token", ""), kept):
            self.set_cookie(COOKIE, kept, httponly=True, samesite="Strict", path="/")
            if self.request.method == "GET":
                self.redirect(self.request.path)
                return
        elif not hmac.compare_digest(self.get_cookie(COOKIE, ""), kept):
            raise web.HTTPError(403, reason="use the address that was printed: it has the token")


def hub_handler():
    """The same for a service of JupyterHub's."""
    from jupyterhub.services.auth import HubOAuthenticated

    class HubHandler(HubOAuthenticated, web.RequestHandler):
        """A request that the Hub has let in; only the teacher's goes on."""

        @web.authenticated
        def prepare(self):
            if self.current_user["name"] != self.settings["teacher"] and not self.current_user.get("admin"):
                raise web.HTTPError(403, reason="this page is the teacher's")

    return HubHandler


def handler():
    return hub_handler() if BELOW_HUB else TokenHandler


def more_handlers(prefix):
    """What the Hub's login needs of a service."""
    if not BELOW_HUB:
        return []
    from jupyterhub.services.auth import HubOAuthCallbackHandler
    return [(f"{prefix}oauth_callback", HubOAuthCallbackHandler)]


def settings(host, port):
    """For the application: the token, and the names that it answers to."""
    shown = f"[{host}]" if ":" in host else host
    return {"token": secrets.token_urlsafe(24), "cookie_secret": secrets.token_bytes(32),
            "hosts": {f"{name}:{port}" for name in (shown, "localhost", "127.0.0.1")}}
