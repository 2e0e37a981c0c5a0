package config

import "time"

// readUpstreams reads the list of upstreams.
func (c *Config) readUpstreams(v value) {
	items := v.items()
	seen := map[string]bool{}
	for _, item := range items {
		s, ok := item.section()
		if !ok {
			continue
		}
		u := readUpstream(s)
		s.finish()
		if u.Name != "" && seen[u.Name] {
			s.fail("name %q is taken by an upstream above: want another", u.Name)
		}
		seen[u.Name] = true
		if u.Pending() {
			c.later("upstreams: %s is not used: of Azure the v1 API is built, whose base_url ends in /openai/v1.", u.Name)
		}
		c.Upstreams = append(c.Upstreams, u)
	}
}

func readUpstream(s *section) Upstream {
	u := Upstream{Kind: kindOpenAI, Weight: 1, Timeout: 10 * time.Minute}
	need(s, "name", &u.Name, name, "a name of your choice, such as openai")
	set(s, "kind", &u.Kind, oneOf(kindOpenAI, kindBigModel, kindAnthropic, kindGemini, kindAzure))
	need(s, "base_url", &u.BaseURL, baseURL, "the provider's address, such as https://api.openai.com/v1")
	secret(s, "api_key", &u.APIKey, header)
	if e, ok := s.get("models"); ok {
		u.Models = readModels(e.value)
	} else {
		s.failAt("models", "is missing: want the models that this upstream serves, such as [\"gpt-*\"]")
	}
	set(s, "priority", &u.Priority, whole(0, 1000))
	set(s, "weight", &u.Weight, whole(1, 1_000_000))
	set(s, "timeout", &u.Timeout, duration(100*time.Millisecond, 24*time.Hour))
	set(s, "shared_objects", &u.SharedObjects, boolean)
	set(s, "ignores_max_completion_tokens", &u.IgnoresMaxCompletionTokens, boolean)
	return u
}

// readModels reads names and patterns, and mappings of a name to the
// upstream's own: a list, whose items may be such mappings, or one mapping.
func readModels(v value) []ModelRule {
	values := []value{v}
	if isList(v) {
		values = v.items()
	}
	var rules []ModelRule
	named, seen := 0, map[string]bool{}
	add := func(at value, rule ModelRule) {
		if seen[rule.Pattern] {
			at.fail("model %q is named twice: remove one of the two", rule.Pattern)
			return
		}
		seen[rule.Pattern] = true
		rules = append(rules, rule)
	}
	for _, item := range values {
		if !isMapping(item) {
			named++
			var pattern string
			if assign(item, &pattern, modelName) {
				add(item, ModelRule{Pattern: pattern})
			}
			continue
		}
		entries, _ := item.entries()
		named += len(entries)
		for _, e := range entries {
			rule, err := modelName(e.name)
			if err != nil {
				e.key.fail("%s", err)
				continue
			}
			var rename string
			if assign(e.value, &rename, renamed) {
				add(e.key, ModelRule{Pattern: rule, Rename: rename})
			}
		}
	}
	if named == 0 {
		v.fail("is empty: want the models that this upstream serves, such as [\"gpt-*\"]")
	}
	return rules
}
