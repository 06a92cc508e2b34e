package page

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	cookieName = "subpy-worker"
	session    = 7 * 24 * time.Hour
	policy     = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)

// guard sets the headers of each answer, and turns away what another site sends.
func (p *Page) guard(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(p.slowest)) // some writers have no deadlines
		}
		if p.ctx.Err() != nil {
			fail(w, &problem{status: http.StatusServiceUnavailable, Message: "The worker ends.", Fix: "Ask another worker."})
			return
		}
		if !p.knownHost(r) {
			fail(w, &problem{status: http.StatusForbidden, Message: fmt.Sprintf("The page is not served under the name %.200q.", r.Host),
				Fix: "Open it as http://localhost or by its address, name the host in the option for hosts, or set a token."})
			return
		}
		if err := crossOrigin.Check(r); err != nil {
			fail(w, &problem{status: http.StatusForbidden, Message: "The request comes from another site.",
				Fix: "Send it from the page itself, or from a program that sends no Origin."})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// knownHost keeps out a foreign site whose name was made to point here (DNS rebinding): its requests have its name as their host.
// With a token that site has nothing to gain, for it does not know the token and the cookie is not of its name.
func (p *Page) knownHost(r *http.Request) bool {
	if p.opts.Token != "" {
		return true
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "localhost" || slices.ContainsFunc(p.opts.Hosts, func(known string) bool { return strings.EqualFold(known, host) }) {
		return true
	}
	_, err := netip.ParseAddr(host) // an address is not a name that could be made to point elsewhere
	return err == nil
}

// signedIn lets a request through that knows the token, if one is set.
func (p *Page) signedIn(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p.opts.Token != "" && !p.knowsToken(r, time.Now()) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			fail(w, &problem{status: http.StatusUnauthorized, Message: "A token is needed.",
				Fix: "Type it into the page, or send the header Authorization: Bearer TOKEN."})
			return
		}
		next(w, r)
	}
}

func (p *Page) knowsToken(r *http.Request, now time.Time) bool {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return p.isToken(token)
	}
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return false
	}
	until, _, _ := strings.Cut(cookie.Value, ".")
	seconds, err := strconv.ParseInt(until, 10, 64)
	return err == nil && now.Unix() < seconds && subtle.ConstantTimeCompare([]byte(cookie.Value), []byte(p.pass(until))) == 1
}

func (p *Page) isToken(token string) bool {
	given, known := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(p.opts.Token))
	return subtle.ConstantTimeCompare(given[:], known[:]) == 1
}

// pass is the value of the cookie of who knew the token: until when it holds, and a proof that the token was known.
func (p *Page) pass(until string) string {
	mac := hmac.New(sha256.New, []byte(p.opts.Token))
	mac.Write([]byte("subpy worker page until " + until))
	return until + "." + hex.EncodeToString(mac.Sum(nil))
}

func (p *Page) login(w http.ResponseWriter, r *http.Request) {
	p.json(func(*http.Request) (any, error) {
		body, err := readBody(r, shortBody)
		if err != nil {
			return nil, err
		}
		var given struct {
			Token string `json:"token"`
		}
		if err := json.Unmarshal(body, &given); err != nil || p.opts.Token != "" && !p.isToken(given.Token) {
			return nil, &problem{status: http.StatusUnauthorized, Field: "token", Message: "That is not the token.",
				Fix: "It is the one that the worker was started with."}
		}
		if p.opts.Token != "" {
			until := time.Now().Add(session)
			http.SetCookie(w, &http.Cookie{Name: cookieName, Value: p.pass(strconv.FormatInt(until.Unix(), 10)), Path: "/", Expires: until,
				HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode})
		}
		return map[string]bool{"signed_in": true}, nil
	})(w, r)
}
