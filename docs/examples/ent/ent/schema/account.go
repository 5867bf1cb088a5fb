// Package schema is what ent generates package ent from.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
)

// Account is a row. Its sums are in minor units of its currency.
type Account struct{ ent.Schema }

// Annotations implements ent.Interface.
func (Account) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "account"}}
}

// Fields implements ent.Interface.
func (Account) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("account_id").MaxLen(64),
		field.String("currency").MaxLen(3),
		field.Int64("available").Default(0).Comment("to be spent"),
		field.Int64("frozen").Default(0).Comment("set aside by a Try"),
		field.Int64("spent").Default(0).Comment("gone by a Confirm"),
	}
}
