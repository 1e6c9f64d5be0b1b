# Bemiddelingsregister, a handover as its new zorgkantoor reads it: POL109 and POL114 (BRA0010).
package iwlz.overdracht

import rego.v1

import data.iwlz.lib

where := input.query.where

of_zorgkantoor if count(lib.bound(where, "verantwoordelijkZorgkantoor")) > 0

dates := {day | some day in lib.bound(where, "overdrachtDatum"); day != null}

failed contains {"rule": "br.overdracht.claim"} if not lib.claim("uzovi")

failed contains {"rule": "br.overdracht.id"} if not lib.named(where, "overdrachtID")

failed contains {"rule": "br.overdracht.zorgkantoor"} if not of_zorgkantoor

failed contains {"rule": "br.overdracht.own"} if {
	of_zorgkantoor
	not lib.bound_to_claim(where, "verantwoordelijkZorgkantoor", "uzovi")
}

failed contains {"rule": "br.overdracht.own-bemiddeling", "found": path} if some path in lib.others_bemiddelingen

failed contains {"rule": "br.overdracht.datum"} if {
	count(lib.subentities) > 0
	count(dates) == 0
}

failed contains {"rule": "br.overdracht.subfilter", "found": node.path, "hint": hint} if {
	count(dates) > 0
	some node in lib.subentities
	not overlaps(node)
	hint := sprintf(
		"where: {%sor: [{%s: {eq: null}}, {%s: {gt: the day before overdrachtDatum}}]}",
		[until(node), lib.end_field(node), lib.end_field(node)],
	)
}

until(node) := "" if node.type in lib.contact_types

until(node) := sprintf("%s: {ngt: overdrachtDatum}, ", [lib.start_field(node)]) if not node.type in lib.contact_types

days_before := {before |
	some day in dates
	[year, month, number] := time.date(time.add_date(time.parse_ns("2006-01-02", day), 0, 0, -1))
	before := sprintf("%d-%s-%s", [year, padded(month), padded(number)])
}

padded(number) := sprintf("0%d", [number]) if number < 10

padded(number) := sprintf("%d", [number]) if number >= 10

overlaps(node) if {
	lib.ends_open_or_after(node, days_before)
	starts_in_time(node)
}

starts_in_time(node) if node.type in lib.contact_types

starts_in_time(node) if {
	some day in dates
	lib.starts_not_after(node, day)
}

failed contains {"rule": "br.overdracht.matrix", "found": path} if {
	lib.profile.attribute_matrix
	some path in lib.beyond_matrix(["BRA0010"])
}
