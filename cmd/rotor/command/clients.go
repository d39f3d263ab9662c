package command

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/terminal"
)

func (e *env) clients() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clients",
		Short: "List, show, register and delete clients",
		Args:  cobra.ArbitraryArgs,
		RunE:  unknown,
	}
	cmd.AddCommand(e.listClients(), e.showClient(), e.applyClients(), e.deleteClient())
	return cmd
}

func (e *env) listClients() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List all clients",
		Long: `Lists all clients by their ids.

Columns: client, type, preset, reuse interval, absolute and idle lifetime (all in seconds; 0 is no
limit), reuse detection, scope. With --json each client is a line.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			service, err := e.service(cmd.Context())
			if err != nil {
				return err
			}
			table := e.io.NewTable(terminal.Column{Title: "CLIENT"}, terminal.Column{Title: "TYPE"}, terminal.Column{Title: "PRESET"},
				terminal.Column{Title: "REUSE INTERVAL"}, terminal.Column{Title: "ABSOLUTE"}, terminal.Column{Title: "IDLE"},
				terminal.Column{Title: "DETECTION"}, terminal.Column{Title: "SCOPE", Cut: true})
			_, err = list(e, "clients read", service.Registrations(cmd.Context()), table, func(c *manage.Registration) []string {
				p := &c.Policy
				return []string{
					c.ClientID, c.Type, cmp.Or(c.Preset, "default"), seconds(p.ReuseInterval), seconds(p.AbsoluteLifetime),
					seconds(p.IdleLifetime), p.ReuseDetection, c.Scope,
				}
			})
			return err
		},
	}
}

func (e *env) showClient() *cobra.Command {
	return &cobra.Command{
		Use:   "show CLIENT",
		Short: "Show a client and its policy",
		Args:  exactly("CLIENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			service, err := e.service(cmd.Context())
			if err != nil {
				return err
			}
			c, err := service.Registration(cmd.Context(), args[0])
			if err != nil {
				return ofClient(args[0], err)
			}
			if e.json {
				return e.io.WriteJSON(c)
			}
			table := e.io.NewTable(terminal.Column{}, terminal.Column{})
			table.Add("client", c.ClientID)
			for _, f := range stateOf(c) {
				table.AddKnown(f.name, f.value)
			}
			for _, s := range c.Secrets {
				table.Add("secret", s.ID)
			}
			table.Add("created", e.time(c.CreatedAt))
			table.Add("updated", e.time(c.UpdatedAt))
			if r := c.Recommendation; r != nil {
				table.Add("recommended_reuse_interval", seconds(r.ReuseInterval))
			}
			table.Flush()
			return nil
		},
	}
}

func (e *env) deleteClient() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete CLIENT",
		Short: "Delete a client: its tokens are refused from then on",
		Long: `Deletes a client. Its tokens are refused from then on, until it is registered again. Where nobody can
be asked, it needs --yes.`,
		Args: exactly("CLIENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := e.mayAsk(cmd, yes, false); err != nil {
				return err
			}
			service, err := e.service(cmd.Context())
			if err != nil {
				return err
			}
			c, err := service.Registration(cmd.Context(), args[0])
			if err != nil {
				return ofClient(args[0], err)
			}
			question := "This deletes the " + terminal.Inert(c.Type) + " client " + quote(c.ClientID) + ", and its tokens are refused. Delete it?"
			if err := e.confirm(cmd.Context(), yes, question); err != nil {
				return err
			}
			if err := service.Deregister(cmd.Context(), args[0]); err != nil {
				return err
			}
			if e.json {
				return e.io.WriteJSON(map[string]string{"deleted": args[0]})
			}
			e.io.Printf("deleted %s\n", terminal.Inert(args[0]))
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// field is one of the settings of a client.
type field struct{ name, value string }

// stateOf returns all settings of a client, in the order of the documentation.
func stateOf(c *manage.Registration) []field {
	p := &c.Policy
	fields := []field{
		{"type", c.Type},
		{"preset", cmp.Or(c.Preset, "default")},
		{"policy.rotation", strconv.FormatBool(p.Rotation)},
		{"policy.reuse_interval", seconds(p.ReuseInterval)},
		{"policy.lost_response", p.LostResponse},
		{"policy.absolute_lifetime", seconds(p.AbsoluteLifetime)},
		{"policy.idle_lifetime", seconds(p.IdleLifetime)},
		{"policy.access_token_lifetime", seconds(p.AccessTokenLifetime)},
		{"policy.max_active", strconv.Itoa(p.MaxActive)},
		{"policy.evict", p.Evict},
		{"policy.reuse_detection", p.ReuseDetection},
		{"policy.observe_until", moment(p.ObserveUntil)},
		{"policy.invalid_grant_status", strconv.Itoa(p.InvalidGrantStatus)},
		{"policy.dpop", p.DPoP},
		{"scope", c.Scope},
		{"audience", strings.Join(c.Audience, ", ")},
		{"may_introspect", strconv.FormatBool(c.MayIntrospect)},
		{"may_forward", strconv.FormatBool(c.MayForward)},
		{"transport", c.Transport},
		{"cookie_same_site", c.CookieSameSite},
		{"device_bound", deviceBoundText(c)},
		{"trusted_issuers", issuersText(c.TrustedIssuers)},
		{"jwks_uri", c.JWKSURI},
		{"jwks", keysText(c.JWKS)},
		{"adopt", providerText(c.Adopt)},
		{"accepts_imported", shapeText(c.AcceptsImported)},
		{"not_before", moment(c.NotBefore)},
		{"redirect_uris", strings.Join(c.RedirectURIs, ", ")},
		{"post_logout_redirect_uris", strings.Join(c.PostLogoutRedirectURIs, ", ")},
	}
	return fields
}

// deviceBoundText returns whether browsers are asked to bind the client's cookies, "" if it has none.
func deviceBoundText(c *manage.Registration) string {
	if c.Transport == "" {
		return ""
	}
	return strconv.FormatBool(c.DeviceBound)
}

func seconds(n int64) string { return strconv.FormatInt(n, 10) }
