package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/user"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/repair"
	"github.com/peerquest/questwatch/internal/terminal"
)

func repairApplyCommand() *cobra.Command {
	var req repair.Request
	cmd := &cobra.Command{
		Use:   "apply ID… | --rule RULE",
		Short: "Have the running instance make repairs",
		Long: `Apply has the running instance repair open findings, one after the other, each in a
transaction of its own: the quest is locked and read again, and where nothing is wrong
any more nothing is written. Each repair is written down in the journal, with who asked
for it and why. The finding ends when the change comes back through the stream.

Neither a pause nor a budget holds for what somebody asks for. What was asked for is
done even if this command is interrupted.

Exit status: 0 all is repaired, or was not wrong any more, 1 some were left alone, 2 wrong
usage, or no open finding has such an id, 3 some failed, nobody answers, or another failure.`,
		Example: `  questwatch repair apply b47c15 --reason "ticket 4711"
  questwatch repair apply --rule missing_participant --limit 10 --dry-run
  questwatch repair apply --rule unassigned --output json | jq .applied`,
		Args: cobra.ArbitraryArgs,
	}
	ruleFlag(cmd, &req.Rule)
	cmd.Flags().IntVar(&req.Limit, "limit", 0, "repair this `NUMBER` at most; 0 is all")
	cmd.Flags().BoolVar(&req.DryRun, "dry-run", false, "change nothing, say what would be done")
	actorFlags(cmd, &req.Actor, &req.Reason)
	return reports(cmd, ofInstance, func(c *call, args []string) error {
		if err := checkWish(&req.Wish); err != nil {
			return err
		}
		if (len(args) == 0) == (req.Rule == "") {
			return usageError{error: errors.New("name the findings, or their rule with --rule, and not both")}
		}
		req.Findings = args
		return c.applyRepairs(&req)
	})
}

// whoami is the user of this system.
func whoami() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return cmp.Or(os.Getenv("USER"), fmt.Sprintf("uid %d", os.Getuid()))
}

// applied is what became of all that was asked for.
type applied struct {
	DryRun    bool             `json:"dry_run"`
	Applied   int              `json:"applied"`
	Planned   int              `json:"planned"`
	Healed    int              `json:"healed"`
	LeftAlone int              `json:"left_alone"`
	Failed    int              `json:"failed"`
	Findings  []*repair.Answer `json:"findings"`
}

func (a *applied) add(one *repair.Answer) {
	a.Findings = append(a.Findings, one)
	switch one.Outcome {
	case repair.Applied:
		a.Applied++
	case repair.Planned:
		a.Planned++
	case repair.Healed:
		a.Healed++
	case repair.LeftAlone:
		a.LeftAlone++
	default:
		a.Failed++
	}
}

func (a *applied) String() string {
	return fmt.Sprintf("%d applied, %d planned, %d healed, %d left alone, %d failed\n", a.Applied, a.Planned, a.Healed, a.LeftAlone, a.Failed)
}

func (a *applied) status() error {
	switch {
	case a.Failed > 0:
		return statusError(exitFailure)
	case a.LeftAlone > 0:
		return statusError(exitFindings)
	}
	return nil
}

func (c *call) applyRepairs(req *repair.Request) error {
	instance, err := c.repairs()
	if err != nil {
		return err
	}
	defer instance.Close()
	all := applied{DryRun: req.DryRun, Findings: []*repair.Answer{}}
	var printing error
	err = instance.Apply(c.Context(), *req, func(one *repair.Answer) {
		if all.add(one); !c.asJSON() && printing == nil {
			printing = c.say("%s", answerText(one))
		}
	})
	if err == nil && printing == nil {
		err = c.show(&all, all.String)
	}
	if err := errors.Join(err, printing); err != nil {
		return err
	}
	return all.status()
}

// answerText says what became of one finding.
func answerText(a *repair.Answer) string {
	text := fmt.Sprintf("%-10s %s", a.Outcome, a.Item.Line())
	if a.Entry != 0 {
		text += fmt.Sprintf(" (entry %d, xid %d)", a.Entry, a.XID)
	}
	if a.Error != "" {
		text += ": " + terminal.Clean(a.Error)
	}
	text += "\n"
	if a.Outcome == repair.Planned && a.Item.Plan != nil {
		text += a.Item.Plan.Text("             ")
	}
	return text
}
