"""A confidential client with authlib, as a Flask app."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Flask, jsonify, request

ISSUER, REDIRECT_URI, AFTER_LOGOUT = (os.environ[name] for name in ("ISSUER", "REDIRECT_URI", "AFTER_LOGOUT"))

app = Flask(__name__)
app.secret_key = os.urandom(32)
oauth = OAuth(app)
rotor = oauth.register(
    "rotor",
    server_metadata_url=ISSUER + "/.well-known/openid-configuration",
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    client_kwargs={"scope": "openid profile", "code_challenge_method": "S256"},
)


@app.get("/login")
def login():
    return rotor.authorize_redirect(REDIRECT_URI, login_hint=request.args["hint"])


@app.get("/callback")
def callback():
    return jsonify(rotor.authorize_access_token())


@app.get("/logout")
def logout():
    return rotor.logout_redirect(post_logout_redirect_uri=AFTER_LOGOUT, id_token_hint=request.args["id_token"], state="bye")


def refresh(token):
    return rotor.fetch_access_token(grant_type="refresh_token", refresh_token=token)


class Browser:
    """What a user's browser does. It has cookies of the app, and speaks HTTP with all others."""

    def __init__(self):
        self.app = app.test_client()

    def follow(self, answer, home):
        """Goes where the app leads, and returns the parameters with which the browser comes back to it."""
        address = answer.headers["Location"]
        for _ in range(5):
            if address.startswith(home):
                return dict(parse_qsl(urlsplit(address).query))
            answer = requests.get(address, allow_redirects=False, timeout=30)
            if "Location" not in answer.headers:
                raise RuntimeError(f"{urlsplit(address).path} answers {answer.status_code}: {answer.text}")
            address = answer.headers["Location"]
        raise RuntimeError("too many redirects")

    def begin(self, hint="alice"):
        return self.follow(self.app.get("/login?hint=" + hint), REDIRECT_URI)

    def finish(self, parameters):
        return self.app.get("/callback?" + urlencode(parameters)).get_json()

    def end(self, id_token):
        return self.follow(self.app.get("/logout?" + urlencode({"id_token": id_token})), AFTER_LOGOUT)


app.testing = True  # the app's exceptions reach the cases below


def later():
    """Lets the reuse interval pass."""
    requests.post(os.environ["LATER"], timeout=30).raise_for_status()


def refusal(call, *args):
    """Returns the error that a call raises."""
    try:
        call(*args)
    except OAuthError as error:
        return error
    raise RuntimeError("it was not refused")


def circle():
    browser = Browser()
    tokens = browser.finish(browser.begin())
    seen = [tokens["refresh_token"]]
    user, id_token = tokens["userinfo"]["sub"], tokens["id_token"]
    for _ in range(50):
        later()
        tokens = refresh(tokens["refresh_token"])
        seen.append(tokens["refresh_token"])
        id_token = tokens["id_token"]
    tokens = refresh(tokens["refresh_token"])
    end = browser.end(id_token)
    return {
        "user": user,
        "seen": seen,
        "held": tokens["refresh_token"],
        "back": end["state"] == "bye",
        "error": refusal(refresh, tokens["refresh_token"]).error,
    }


def state():
    browser = Browser()
    return {"error": refusal(browser.finish, browser.begin() | {"state": "another"}).error}


def denied():
    browser = Browser()
    return {"error": refusal(browser.finish, browser.begin("nobody")).error}


def twice():
    browser = Browser()
    parameters = browser.begin()
    with browser.app.session_transaction() as session:
        cookies = dict(session)

    def finish(_):
        """Is a request of the page, which has the cookies of before."""
        again = Browser()
        with again.app.session_transaction() as session:
            session.update(cookies)
        try:
            return again.finish(parameters)
        except OAuthError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(finish, range(2)))
    (won,) = [r for r in results if isinstance(r, dict)]
    (lost,) = [r for r in results if isinstance(r, OAuthError)]
    later()
    return {"seen": [won["refresh_token"], refresh(won["refresh_token"])["refresh_token"]], "error": lost.error}


json.dump({"circle": circle, "state": state, "denied": denied, "twice": twice}[os.environ["CASE"]](), sys.stdout)
